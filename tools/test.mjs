// npm test: installs and builds what is missing, then runs every test that needs no outside server.
// Arguments go to Jest: npm test -- libs/compiler
import { join } from 'node:path';
import { prepare, root, run } from './prepare.mjs';

prepare();
const nodeOptions = [process.env.NODE_OPTIONS, '--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
const args = process.argv.slice(2);
const workers = args.includes('--runInBand') ? [] : ['--maxWorkers=2'];
run(process.execPath, [join(root, 'node_modules', 'jest', 'bin', 'jest.js'), ...workers, ...args], 'tests failed', {
  NODE_OPTIONS: nodeOptions.filter(Boolean).join(' '),
});
