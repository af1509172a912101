import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { PlatformView } from '@aloft/backend-kit';
import type { Start, Starter } from '@aloft/backend-local-process';
import { failedPrecondition } from '@aloft/errors';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { type TaskLog, TaskLog_MessageFormat } from '@aloft/idl/flyteidl/core/execution';
import { applicationOf, jobOf, sparkType } from './application.js';
import { driverBytes } from './conf.js';
import { confIn, confOf, type Driver, driverCommand } from './driver-command.js';
import { freePort } from './free-port.js';
import { findInstallation, type Installation } from './installation.js';
import type { SparkOptions } from './options.js';

const flytekitCommand = /(^|\/)pyflyte-(fast-|map-)?execute$/;

/** Starts tasks as drivers through spark-submit: Spark tasks, and any other task of flytekit that a rule routes here. */
export class SparkStarter implements Starter {
  readonly taskTypes = [sparkType];
  private installation: Installation | undefined;

  constructor(
    readonly name: string,
    private readonly options: SparkOptions,
    private readonly platform: PlatformView,
    private readonly env: NodeJS.ProcessEnv,
  ) {}

  async open(): Promise<void> {
    const { home, javaHome } = this.options;
    try {
      this.installation = await findInstallation({ home, javaHome, python: this.platform.python }, this.env);
    } catch (error) {
      throw failedPrecondition(`backend "${this.name}": ${(error as Error).message}`, { cause: error });
    }
  }

  refuse(launch: LaunchTask): string | undefined {
    const job = jobOf(launch);
    const target = launch.template?.target;
    const [program = ''] = target?.$case === 'container' ? [...target.value.command, ...target.value.args] : [];
    if (job === undefined && !flytekitCommand.test(program))
      return (
        `The backend "${this.name}" runs Spark tasks, and tasks of flytekit as Spark drivers; a task of type "${launch.template?.type}" whose ` +
        `command is "${program}" is neither. Route it to another backend.`
      );
    const application = applicationOf(job, this.installed.entrypoint);
    return 'wrong' in application ? application.wrong : undefined;
  }

  async start({ argv, env, memoryBytes }: Start, launch: LaunchTask, folder: string): Promise<Start> {
    const { installed, options } = this;
    const application = applicationOf(jobOf(launch), installed.entrypoint);
    if ('wrong' in application) throw failedPrecondition(application.wrong);
    const [command = '', ...args] = argv;
    const driver: Driver = {
      name: launch.attempt?.name ?? 'aloft',
      application,
      job: jobOf(launch),
      // flytekit's program knows its commands by their plain names.
      args: flytekitCommand.test(command) ? [basename(command), ...args] : argv,
      scratch: join(folder, 'tmp'),
      uiPort: await freePort(),
      executorPython: this.executorPython(launch),
    };
    const conf = confOf(driver, installed, options);
    return {
      start: 'cold',
      argv: driverCommand(driver, conf, installed, options),
      env: {
        ...env,
        SPARK_HOME: installed.home,
        ...(installed.javaHome === undefined ? {} : { JAVA_HOME: installed.javaHome }),
        SPARK_SUBMIT_OPTS: [env['SPARK_SUBMIT_OPTS'], javaOption('java.io.tmpdir', driver.scratch)]
          .filter(Boolean)
          .join(' '),
      },
      // The task's own limit is one of its Python: Spark says by itself how much its virtual machine takes.
      memoryBytes: memoryBytes && memoryBytes + driverBytes(conf),
    };
  }

  links(argv: readonly string[]): TaskLog[] {
    const conf = confIn(argv);
    const port = conf['spark.ui.port'];
    if (port === undefined || conf['spark.ui.enabled'] === 'false') return [];
    return [
      {
        name: 'Spark UI',
        uri: `http://${this.options.uiHost}:${port}`,
        messageFormat: TaskLog_MessageFormat.UNKNOWN,
        ttl: undefined,
        ShowWhilePending: false,
        HideOnceFinished: true,
      },
    ];
  }

  info(): Record<string, unknown> {
    return { master: this.options.master, deployMode: 'client' };
  }

  private executorPython(launch: LaunchTask): string {
    const named = jobOf(launch)?.executorPath ?? '';
    return this.options.executorPython ?? (named !== '' && existsSync(named) ? named : this.installed.python);
  }

  private get installed(): Installation {
    if (!this.installation) throw failedPrecondition(`the backend "${this.name}" was not started`);
    return this.installation;
  }
}

/** Quoted as Spark's own launcher reads it. */
const javaOption = (name: string, value: string) => `"-D${name}=${value.replace(/["\\]/g, '\\$&')}"`;
