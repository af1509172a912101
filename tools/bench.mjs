// npm run bench -- [--json FILE] [--only a_chain] [--short]: the benchmarks, against a platform of their own.
import { join } from 'node:path';
import { prepare, root, run } from './prepare.mjs';

prepare();
run(process.execPath, [join(root, 'bench', 'dist', 'main.js'), ...process.argv.slice(2)], 'the benchmark failed');
