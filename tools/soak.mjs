// npm run soak -- [--faults 1000] [--seed N] [--shape embedded|distributed|both] [--round 50] [--fresh]: fault rounds of seeds derived
// from one. Progress is kept in .cache/soak/<seed>.json after every round: the same command goes on where it was. A failed round
// is told with its own seed, kept, and does not stop the others.
// npm run soak -- --shape backends [--faults 1000] [--seed N] [--round 25] [--fresh]: the same of the backends kubernetes and aws-batch, by turns.
// npm run soak -- --simulation [--seeds 1000000] [--seed 1] [--fresh]: simulated worlds of so many seeds, kept and gone on with likewise.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { prepare, root } from './prepare.mjs';

prepare();
process.env.ALOFT_SOAK_DIR ??= join(root, '.cache', 'soak');
const faults = join(root, 'e2e', 'faults', 'dist');
const script = process.argv.includes('--simulation')
  ? join(root, 'apps', 'propeller', 'dist', 'simulation', 'soak.js')
  : process.argv.includes('backends')
    ? join(faults, 'backends', 'soak.js')
    : join(faults, 'soak.js');
await import(pathToFileURL(script).href);
