// npm run test:integration [-- flytekit …]: the suites against real outside parts, each of which they start themselves. All of
// them: two at a time, since much of their time they wait for those parts; what a suite says is shown when it has ended.
// ALOFT_INTEGRATION_UNTIL=<ms since 1970> (CI): no suite is begun that would not be done by then, and which were not is said.
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { prepare, root } from './prepare.mjs';
import { startDistributed } from './distributed-suite.mjs';
import { pythonEnvironment } from './python.mjs';

/** Runs to the end; throws if it fails, so that the servers of a suite are stopped and the other suites still run. */
function run(command, args, onFailure, env = {}) {
  const { status, signal, error } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  if (status !== 0) throw new Error(`${onFailure} (${signal ?? error?.message ?? `exit code ${status}`})`);
}

const jest = (paths, env) =>
  run(process.execPath, [join(root, 'tools', 'test.mjs'), ...paths], `${paths.join(', ')} failed`, env);

/** Specs named *.it.spec.ts below these paths; they start the servers they need. */
const integration = (...paths) => {
  const options = ['--runInBand', '--silent=false'];
  return (args, env) => jest([...paths, ...options, ...args], { ALOFT_INTEGRATION: '1', ...env });
};

const flytekitRequirements = join(root, 'e2e', 'flytekit', 'requirements.txt');

/** A Python suite: files of e2e/<suite>/tests ('' = all), in an environment with what its requirements.txt names. */
const pytestIn = (suite) => async (files, args, env) => {
  const folder = join(root, 'e2e', suite);
  const python = await pythonEnvironment(join(folder, 'requirements.txt'));
  const tests = files.map((file) => join(folder, 'tests', file));
  const options = ['--rootdir', folder, '-c', join(folder, 'pytest.ini')];
  run(python, ['-m', 'pytest', ...options, ...tests, ...args], `the ${suite} suite failed`, env);
};

const pytest = pytestIn('flytekit');

/** Runs every one of them, then throws what failed. */
async function all(...parts) {
  const failures = [];
  for (const part of parts)
    try {
      await part();
    } catch (error) {
      failures.push(error.message);
    }
  if (failures.length > 0) throw new Error(failures.join('; '));
}

const suites = {
  /** The bus's contract over a real Kafka broker, and what only Kafka can do to it. */
  kafka: integration('libs/bus'),
  /** The local backend over a real S3 server: the conformance suite, Python tasks, output followed while it runs. */
  hosts: async (args) => {
    const python = await pythonEnvironment(join(root, 'e2e', 'flytekit', 'requirements.txt'));
    integration('libs/backends/local-process')(args, { ALOFT_TEST_PYTHON: python });
  },
  /** The connector backend over flytekit's own connector process: the conformance suite, what only connectors do, and stock flytekit with both. */
  connector: async (args) => {
    const python = await pythonEnvironment(join(root, 'e2e', 'connector', 'requirements.txt'));
    await all(
      () => integration('libs/backends/connector')(args, { ALOFT_TEST_PYTHON: python }),
      () => pytestIn('connector')(['test_connectors.py'], args),
    );
  },
  /** The example of a backend that is a module of its own: the conformance suite, and all of the platform with it. */
  plugin: integration('examples/job-server-backend', 'e2e/plugin'),
  /** Where tasks run and why, by configuration alone; what has no place; what was used: the platform, its command line, a second backend. */
  routing: integration('e2e/routing'),
  /** The AWS Batch backend over moto, whose jobs run as processes: the conformance suite, what only Batch does, maps of stock flytekit as array jobs. */
  'aws-batch': async (args) => {
    const python = await pythonEnvironment(flytekitRequirements);
    integration('libs/backends/aws-batch', 'e2e/aws-batch')(args, { ALOFT_TEST_PYTHON: python });
  },
  /** The Kubernetes backend on a real API server, with a real node and pretended ones, and all of the platform with two clusters; the first time builds these programs. */
  kubernetes: async (args) => {
    const python = await pythonEnvironment(join(root, 'e2e', 'connector', 'requirements.txt'));
    integration('libs/backends/kubernetes', 'e2e/kubernetes')(args, { ALOFT_TEST_PYTHON: python });
  },
  /** The Spark backend over the real spark-submit: the conformance suite, a given master, stock flytekit with its Spark plugin. */
  spark: async (args) => {
    const python = await pythonEnvironment(join(root, 'e2e', 'spark', 'requirements.txt'));
    await all(
      () => integration('libs/backends/spark')(args, { ALOFT_TEST_PYTHON: python }),
      () => pytestIn('spark')(['test_spark.py'], args),
    );
  },
  /** The Python example on each backend by configuration alone: local, Kubernetes (a real node), AWS Batch (moto), spark-submit. */
  'flight-delays': async (args) => {
    const python = await pythonEnvironment(join(root, 'e2e', 'flight-delays', 'requirements.txt'));
    integration('e2e/flight-delays')(args, { ALOFT_TEST_PYTHON: python });
  },
  /** The local backend's specs with a Python that has flytekit: warm workers, maps, bundles. */
  workers: async () => {
    const python = await pythonEnvironment(flytekitRequirements);
    jest(['libs/backends/local-process/src/python'], { ALOFT_TEST_PYTHON: python });
  },
  /** Stock flytekit (pip, its own environment) against a platform of its own: part C's checks, more shapes, kills, bad input. */
  flytekit: (args) => pytest(['test_part_c.py', 'test_shapes.py', 'test_kill.py', 'test_bad_input.py'], args),
  /** Every rpc of the control plane over gRPC and REST by Flyte's own stubs and plain HTTP: conformance, bad input, races. */
  admin: (args) => pytestIn('admin')([''], args),
  /** Part C's checks with the TypeScript SDK and the command line, on a platform of its own. */
  sdk: integration('e2e/sdk'),
  /** Traces, metrics and logs of a run, `kill -9` in between, with a collector of its own. */
  trace: integration('e2e/trace'),
  /** The simulation on faults that are planted in engine and shell, one at a time: it has to catch each. */
  simulation: integration('apps/propeller'),
  /** Node control by the command line, on failed and on running runs, `kill -9` in between. */
  control: integration('e2e/control'),
  /** What keeps a service from starting is named; what goes away later is reported, waited for, and nothing is lost. */
  services: integration('e2e/services'),
  /**
   * The same platform as separate services, two of each, over real Kafka, Postgres and S3: SDK, CLI, demo, flytekit, and
   * what only several processes can show.
   */
  distributed: async (args) => {
    const platform = await startDistributed(await pythonEnvironment(flytekitRequirements));
    try {
      await all(
        () => integration('e2e/distributed', 'e2e/sdk/part-c')(args, platform.environment),
        () =>
          pytest(
            ['test_part_c.py', 'test_shapes.py', 'test_bad_input.py', 'test_rolling_restart.py'],
            args,
            platform.environment,
          ),
      );
    } finally {
      await platform.stop();
    }
  },
  /** 100 seeded faults under load over both shapes; ALOFT_SEED repeats them (e2e/faults/README.md). */
  faults: integration('e2e/faults/src/faults.it'),
  /** 100 seeded faults of the backends kubernetes and aws-batch and of their hosts; ALOFT_SEED repeats them. */
  'backend-faults': integration('e2e/faults/src/backends'),
  /** Image folders, the Helm chart on a real kube-apiserver, the compose file, the IAM policies; the first time builds these tools. */
  deploy: async (args) => {
    const python = await pythonEnvironment(join(root, 'deploy', 'tests', 'requirements.txt'));
    integration('deploy/tests')(args, { ALOFT_TEST_PYTHON: python });
  },
};

/** They keep both cores busy, or what they find depends on how fast things go. */
const alone = ['faults', 'simulation'];

/** What the suites take on two slow cores, seconds, with another one beside it and with what it installs or builds the first time. */
const usualSeconds = {
  faults: 700,
  simulation: 450,
  distributed: 700,
  kubernetes: 800,
  flytekit: 500,
  kafka: 250,
  services: 210,
  admin: 200,
  hosts: 150,
  sdk: 120,
  workers: 80,
  control: 40,
  trace: 30,
  'backend-faults': 850,
  'flight-delays': 760,
  spark: 640,
  'aws-batch': 530,
  deploy: 200,
  routing: 140,
  connector: 120,
  plugin: 50,
};

/** Begun first, the faults of backends before all, so that each run of CI has them; the others come in another order each time, as not all may fit. */
const first = [
  ...['backend-faults', 'kubernetes', 'distributed', 'flytekit', 'kafka', 'services', 'admin'],
  ...['hosts', 'sdk', 'workers', 'control', 'trace'],
];

prepare();
const [only, ...args] = process.argv.slice(2);
if (only && !suites[only]) {
  console.error(`There is no suite "${only}"; there are: ${Object.keys(suites).join(', ')}.`);
  process.exit(2);
}
if (only) await one(only);
else await everything(Number(process.env.ALOFT_INTEGRATION_UNTIL ?? Infinity));

async function everything(until) {
  for (const name of Object.keys(suites)) if (!usualSeconds[name]) throw new Error(`usualSeconds lacks suite ${name}`);
  const others = Object.keys(suites).filter((name) => ![...alone, ...first].includes(name));
  for (const name of alone) await aside(name);
  const waiting = [...first, ...shuffled(others)];
  const next = () => {
    const fits = waiting.findIndex((name) => Date.now() + usualSeconds[name] * 1000 <= until);
    return fits === -1 ? undefined : waiting.splice(fits, 1)[0];
  };
  const lane = async () => {
    for (let name = next(); name; name = next()) await aside(name);
  };
  await Promise.all([lane(), lane()]);
  if (waiting.length > 0) console.log(`not run, the time was too short: suites ${waiting.join(', ')}`);
}

function shuffled(names) {
  return names
    .map((name) => [Math.random(), name])
    .sort(([a], [b]) => a - b)
    .map(([, name]) => name);
}

async function one(name) {
  const started = Date.now();
  console.log(`\n--- suite ${name}`);
  try {
    await suites[name](args);
  } catch (error) {
    console.error(`suite ${name}: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
  console.log(`--- suite ${name}: ${Math.round((Date.now() - started) / 1000)} s`);
}

/** A suite in a process of its own. */
function aside(name) {
  console.log(`--- suite ${name} begins`);
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [import.meta.filename, name], { stdio: ['ignore', 'pipe', 'pipe'] });
    const output = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => output.push(chunk));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      process.stdout.write(Buffer.concat(output));
      if (code === 0) return resolve();
      process.exitCode = 1;
      if (code !== 1) console.error(`suite ${name}: ended with ${signal ?? `exit code ${code}`}`);
      resolve();
    });
  });
}
