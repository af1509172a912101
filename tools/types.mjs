// Type-checks the whole workspace as one program, with the native compiler (seconds instead of tens of them).
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from './projects.mjs';

const compiler = join(root, 'node_modules', 'typescript-native', 'bin', 'tsc');
const { status } = spawnSync(
  process.execPath,
  [compiler, '-p', join(root, 'tsconfig.json'), ...process.argv.slice(2)],
  {
    stdio: 'inherit',
  },
);
process.exit(status ?? 1);
