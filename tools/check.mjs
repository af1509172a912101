// npm run check: format, lint (module boundaries, import cycles, the core's bans), types, unit tests.
import { join } from 'node:path';
import { prepare, root, run } from './prepare.mjs';

prepare();
const bin = (name) => join(root, 'node_modules', '.bin', name);
const nx = { NX_DAEMON: 'false', NX_NO_CLOUD: 'true', NX_TUI: 'false' };
run(bin('prettier'), ['--check', '--log-level=warn', '.'], 'format: run npm run format');
run(bin('nx'), ['graph', '--file=.nx/graph.json'], 'nx could not make the project graph', nx);
run(bin('eslint'), ['.', '--cache', '--cache-location', '.cache/eslint', '--max-warnings=0'], 'lint failed', nx);
run(process.execPath, [join(root, 'tools', 'types.mjs')], 'types failed');
if (!process.argv.includes('--no-tests'))
  run(
    process.execPath,
    [
      join(root, 'tools', 'test.mjs'),
      '--testPathIgnorePatterns',
      '/node_modules/',
      '/dist/',
      '\\.(db|it)\\.spec\\.ts$',
    ],
    'unit tests failed',
  );
