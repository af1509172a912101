// npm run demo: installs and builds what is missing, then shows the platform at work. Plain Node: nothing may be installed yet.
import { join } from 'node:path';
import { prepare, root, run } from './prepare.mjs';

prepare();
run(
  process.execPath,
  [join(root, 'apps', 'cli', 'dist', 'main.js'), 'demo', ...process.argv.slice(2)],
  'the demo did not succeed',
);
