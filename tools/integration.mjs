// npm run test:integration [-- flytekit …]: the suites against real outside parts, each of which they start themselves.
import { join } from 'node:path';
import { prepare, root, run } from './prepare.mjs';
import { pythonEnvironment } from './python.mjs';

const jest = (paths, env) =>
  run(process.execPath, [join(root, 'tools', 'test.mjs'), ...paths], `${paths.join(', ')} failed`, env);

/** Specs named *.it.spec.ts below these paths; they start the servers they need. */
const integration = (...paths) => {
  const options = ['--runInBand', '--silent=false'];
  return (args) => jest([...paths, ...options, ...args], { ALOFT_INTEGRATION: '1' });
};

const suites = {
  /** The bus's contract over a real Kafka broker, and what only Kafka can do to it. */
  kafka: integration('libs/bus'),
  /** The local backend's specs with a Python that has flytekit: warm workers, maps, bundles. */
  workers: () => {
    const python = pythonEnvironment(join(root, 'e2e', 'flytekit', 'requirements.txt'));
    jest(['libs/backends/local-process/src/python'], { ALOFT_TEST_PYTHON: python });
  },
  /** Stock flytekit (pip, its own environment) against a platform of its own: shapes, kills, bad input. */
  flytekit: (args) => {
    const folder = join(root, 'e2e', 'flytekit');
    const python = pythonEnvironment(join(folder, 'requirements.txt'));
    run(
      python,
      ['-m', 'pytest', '--rootdir', folder, '-c', join(folder, 'pytest.ini'), join(folder, 'tests'), ...args],
      'flytekit suite failed',
    );
  },
};

prepare();
const [only, ...args] = process.argv.slice(2);
for (const [name, suite] of Object.entries(suites)) if (!only || only === name) suite(args);
