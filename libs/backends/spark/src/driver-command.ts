import { join } from 'node:path';
import type { SparkJob } from '@aloft/idl/flyteidl/plugins/spark';
import type { Application } from './application.js';
import { type Conf, effectiveConf } from './conf.js';
import type { Installation } from './installation.js';
import type { SparkOptions } from './options.js';

export interface Driver {
  /** Under which Spark lists it, unless its program says another. */
  name: string;
  application: Application;
  /** Of a Spark task. */
  job: SparkJob | undefined;
  /** Arguments of the application. */
  args: readonly string[];
  /** Where it may write. */
  scratch: string;
  /** For its user interface, unless its configuration says another. */
  uiPort: number;
  /** Interpreter of its executors. */
  executorPython: string;
}

/** Spark's configuration of a driver: the platform's defaults, the backend's, the task's. */
export function confOf(driver: Driver, { python }: Installation, options: SparkOptions): Conf {
  const hadoop = Object.entries(driver.job?.hadoopConf ?? {}).map(([name, value]) => [`spark.hadoop.${name}`, value]);
  return effectiveConf(
    {
      'spark.ui.port': String(driver.uiPort),
      'spark.ui.showConsoleProgress': 'false',
      'spark.local.dir': driver.scratch,
      'spark.pyspark.driver.python': python,
      'spark.pyspark.python': driver.executorPython,
    },
    options.conf,
    Object.fromEntries(hadoop) as Conf,
    driver.job?.sparkConf ?? {},
  );
}

/** The command that runs it and stays until it ends. */
export function driverCommand(driver: Driver, conf: Conf, installation: Installation, options: SparkOptions): string[] {
  const { file, mainClass } = driver.application;
  return [
    join(installation.home, 'bin', 'spark-submit'),
    ...['--master', options.master, '--deploy-mode', 'client', '--name', driver.name],
    ...(mainClass === undefined ? [] : ['--class', mainClass]),
    ...Object.entries(conf).flatMap(([name, value]) => ['--conf', `${name}=${value}`]),
    file,
    ...driver.args,
  ];
}

/** The configuration that a command was given: what there is of it after the platform's death. */
export function confIn(argv: readonly string[]): Conf {
  const conf: Record<string, string> = {};
  for (let i = 1; i + 1 < argv.length && (argv[i] ?? '').startsWith('--'); i += 2) {
    const [, name, value] = (argv[i] === '--conf' && /^([^=]+)=(.*)$/s.exec(argv[i + 1] ?? '')) || [];
    if (name !== undefined) conf[name] = value ?? '';
  }
  return conf;
}
