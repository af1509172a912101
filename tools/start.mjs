// npm start: installs and builds what is missing, then becomes the platform, so that signals reach it and nothing is left
// behind if this process is killed. Plain Node: nothing may be installed yet.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { prepare, root } from './prepare.mjs';

prepare();
await import(pathToFileURL(join(root, 'apps', 'standalone', 'dist', 'main.js')).href);
