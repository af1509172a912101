import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { freePort } from '../free-port.js';
import { findInstallation } from '../installation.js';
import { javaHome, python } from './spark-world.js';

/** What a master tells of an application. */
export interface Listed {
  name: string;
  state: string;
  cores: number;
  /** Mebibytes. */
  memoryperexecutor: number;
}

/** A master of Spark's own cluster and one worker, as processes of this machine. */
export class SparkCluster {
  private constructor(
    readonly master: string,
    private readonly ui: string,
    private readonly processes: readonly ChildProcess[],
  ) {}

  static async start(dir: string): Promise<SparkCluster> {
    const { home } = await findInstallation({ javaHome, python }, process.env);
    const [port, ui] = [await freePort(), await freePort()];
    const run = (name: string, ...args: string[]) =>
      spawn(join(home, 'bin', 'spark-class'), [`org.apache.spark.deploy.${name}`, ...args], {
        cwd: dir,
        stdio: 'ignore',
        env: { ...process.env, SPARK_HOME: home, JAVA_HOME: javaHome, SPARK_LOCAL_IP: '127.0.0.1' },
      });
    const master = `spark://127.0.0.1:${port}`;
    const cluster = new SparkCluster(master, `http://127.0.0.1:${ui}`, [
      run('master.Master', '--host', '127.0.0.1', '--port', `${port}`, '--webui-port', `${ui}`),
      run('worker.Worker', ...['--cores', '1', '--memory', '1g', '--webui-port', '0', '--work-dir', dir], master),
    ]);
    while (((await cluster.state())?.aliveworkers ?? 0) < 1) {
      if (cluster.processes.some(({ exitCode }) => exitCode !== null)) throw new Error('the cluster ended');
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    return cluster;
  }

  async ended(): Promise<Listed[]> {
    return (await this.state())?.completedapps ?? [];
  }

  async active(): Promise<Listed[]> {
    return (await this.state())?.activeapps ?? [];
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.processes.map((process) => {
        const gone = new Promise((resolve) => process.once('exit', resolve));
        process.kill('SIGKILL');
        return process.exitCode === null ? gone : undefined;
      }),
    );
  }

  /** `undefined` as long as it does not answer. */
  private async state() {
    type State = { aliveworkers: number; activeapps: Listed[]; completedapps: Listed[] };
    return fetch(`${this.ui}/json/`).then(
      (response) => response.json() as Promise<State>,
      () => undefined,
    );
  }
}
