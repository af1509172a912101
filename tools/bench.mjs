// npm run bench -- [--json FILE] [--only a_chain] [--short]: the benchmarks, against a platform of their own.
import { join } from 'node:path';
import { prepare, root, run } from './prepare.mjs';
import { pythonEnvironment } from './python.mjs';

prepare();
const args = process.argv.slice(2);
// Its load comes from outside: Flyte's own stubs, in Python.
if (args.includes('admin'))
  process.env.ALOFT_BENCH_PYTHON ??= await pythonEnvironment(join(root, 'e2e', 'admin', 'requirements.txt'));
run(process.execPath, [join(root, 'bench', 'dist', 'main.js'), ...args], 'the benchmark failed');
