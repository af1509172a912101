import { SparkJob } from '@aloft/idl/flyteidl/plugins/spark';
import { applicationOf } from './application.js';
import { bytesOf, driverBytes, effectiveConf } from './conf.js';
import { confIn, confOf, type Driver, driverCommand } from './driver-command.js';
import { sparkOptionsSchema } from './options.js';

const entrypoint = '/venv/lib/flytekit/bin/entrypoint.py';
const installation = { home: '/spark', python: '/venv/bin/python', entrypoint, javaHome: undefined };
const options = sparkOptionsSchema.parse({
  master: 'spark://master:7077',
  conf: { 'spark.executor.memory': '2g', 'spark.eventLog.enabled': 'true' },
});

const driver = (job: object | undefined): Driver => ({
  name: 'run1-n0-0',
  application: { file: entrypoint },
  job: job && SparkJob.fromJSON(job),
  args: ['pyflyte-execute', '--inputs', '/in.pb'],
  scratch: '/work/tmp',
  uiPort: 4999,
  executorPython: '/venv/bin/python',
});

describe('C-181, S-11: what spark-submit is told', () => {
  it('carries what the task states of driver and executors, above the backend’s own; master and deploy mode are the backend’s', () => {
    const job = {
      sparkConf: {
        'spark.executor.instances': '3',
        'spark.executor.memory': '512m',
        'spark.master': 'local[1]',
        'spark.submit.deployMode': 'cluster',
      },
      hadoopConf: { 'fs.s3a.path.style.access': 'true' },
    };
    const conf = confOf(driver(job), installation, options);
    expect(conf).toEqual({
      'spark.ui.port': '4999',
      'spark.ui.showConsoleProgress': 'false',
      'spark.local.dir': '/work/tmp',
      'spark.pyspark.driver.python': '/venv/bin/python',
      'spark.pyspark.python': '/venv/bin/python',
      'spark.executor.memory': '512m',
      'spark.executor.instances': '3',
      'spark.eventLog.enabled': 'true',
      'spark.hadoop.fs.s3a.path.style.access': 'true',
    });
    const command = driverCommand(driver(job), conf, installation, options);
    expect(command.slice(0, 7)).toEqual(
      '/spark/bin/spark-submit --master spark://master:7077 --deploy-mode client --name run1-n0-0'.split(' '),
    );
    expect(command.slice(-4)).toEqual([entrypoint, 'pyflyte-execute', '--inputs', '/in.pb']);
  });

  it('can be read from the command again, whatever the application is given', () => {
    const conf = effectiveConf({ 'spark.driver.extraJavaOptions': '-Da=b\n-Dc=d', 'spark.ui.port': '4999' });
    const command = driverCommand(
      { ...driver(undefined), args: ['--conf', 'spark.ui.port=1'] },
      conf,
      installation,
      options,
    );
    expect(confIn(command)).toEqual(conf);
    expect(confIn([])).toEqual({});
  });
});

describe('the application of a driver', () => {
  const of = (job: object | undefined, exists: string[] = [], flytekit: string | undefined = entrypoint) =>
    applicationOf(job && SparkJob.fromJSON(job), flytekit, (path) => exists.includes(path));

  it.each([
    [
      'flytekit’s own, which lies elsewhere in the image',
      { mainApplicationFile: 'local:///opt/venv/bin/entrypoint.py' },
      [],
      { file: entrypoint },
    ],
    [
      'the same, where it is here, too',
      { mainApplicationFile: 'local:///opt/venv/bin/entrypoint.py' },
      ['/opt/venv/bin/entrypoint.py'],
      { file: 'local:///opt/venv/bin/entrypoint.py' },
    ],
    ['a task that is none of Spark’s', undefined, [], { file: entrypoint }],
    ['one that Spark fetches', { mainApplicationFile: 's3a://jobs/a.py' }, [], { file: 's3a://jobs/a.py' }],
    [
      'a jar',
      { applicationType: 'JAVA', mainApplicationFile: '/jobs/a.jar', mainClass: 'a.B' },
      ['/jobs/a.jar'],
      { file: '/jobs/a.jar', mainClass: 'a.B' },
    ],
  ])('%s', (_what, job, exists, expected) => {
    expect(of(job, exists)).toEqual(expected);
  });

  it.each([
    ['none', {}, /names no main application file/],
    [
      'one that is not here',
      { mainApplicationFile: 'local:///jobs/a.py' },
      /local:\/\/\/jobs\/a.py is not on this machine/,
    ],
    ['a jar without a class', { applicationType: 'SCALA', mainApplicationFile: 's3a://a.jar' }, /needs a main class/],
  ])('%s is refused with what would be right', (_what, job, wrong) => {
    expect(of(job)).toEqual({ wrong: expect.stringMatching(wrong) });
  });

  it('flytekit’s where there is no flytekit', () => {
    expect(applicationOf(undefined, undefined, () => false)).toEqual({
      wrong: expect.stringContaining('need flytekit'),
    });
  });
});

describe('memory', () => {
  it.each([
    ['512m', 2 ** 29],
    ['1g', 2 ** 30],
    ['2048', 2 ** 31],
    ['1024kb', 2 ** 20],
    ['much', undefined],
    ['', undefined],
  ])('"%s"', (size, bytes) => expect(bytesOf(size)).toBe(bytes));

  it('of a driver: its heap, and a tenth or 384 MiB besides', () => {
    expect(driverBytes({})).toBe((1024 + 384) * 2 ** 20);
    expect(driverBytes({ 'spark.driver.memory': '10g' })).toBe(11 * 2 ** 30);
    expect(driverBytes({ 'spark.driver.memory': '256m', 'spark.driver.memoryOverhead': '64m' })).toBe(320 * 2 ** 20);
  });
});

it.each(['local', 'local[*]', 'local[2,3]', 'yarn', 'spark://a:1', 'k8s://https://a'])('the master "%s"', (master) => {
  expect(sparkOptionsSchema.parse({ master }).master).toBe(master);
});

it.each([{ master: 'lokal' }, { conf: { 'executor.memory': '1g' } }, { slots: 0 }])('wrong options: %j', (given) => {
  expect(sparkOptionsSchema.safeParse(given).success).toBe(false);
});
