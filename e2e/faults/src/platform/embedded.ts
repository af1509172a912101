import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ManagedProcess } from '../processes/managed-process.js';
import { observedProcess } from '../processes/observed-process.js';
import { allProcesses, type ProcessInfo, readProcess } from '../processes/proc.js';
import { freePort, lineInLog } from '../processes/ready.js';
import { TcpProxy } from '../proxy/tcp-proxy.js';
import { leftOvers } from './left-overs.js';
import type { LinkTarget, PlatformUnderTest, ProcessTarget } from './platform.js';

const main = fileURLToPath(new URL('../../../../apps/standalone/dist/main.js', import.meta.url));

/** The whole platform in one process, with its embedded Postgres; its clients come through a proxy. */
export class EmbeddedPlatform implements PlatformUnderTest {
  readonly shape = 'embedded';
  readonly partitions = 8;
  // One host, and a claim per attempt on this machine's disk: never two at once.
  readonly fencingMs = 0;

  private constructor(
    readonly folder: string,
    readonly directGrpc: string,
    private readonly process: ManagedProcess,
    private readonly front: TcpProxy,
  ) {}

  static async start(
    folder: string,
    onUnexpectedEnd: (process: string, how: string) => void,
  ): Promise<EmbeddedPlatform> {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    const [grpc, http, s3] = [await freePort(), await freePort(), await freePort()];
    const log = join(folder, 'platform.log');
    rmSync(log, { force: true });
    const managed = new ManagedProcess({
      name: 'platform',
      command: process.execPath,
      args: ['--max-semi-space-size=128', main],
      env: {
        ...process.env,
        ALOFT_DATA_DIR: join(folder, 'data'),
        ALOFT_GRPC_PORT: String(grpc),
        ALOFT_HTTP_PORT: String(http),
        ALOFT_S3_PORT: String(s3),
        ALOFT_LOG_LEVEL: 'info',
        // No Python tasks here; its warm parent would take its time from the rest at every start.
        ALOFT_BACKENDS_LOCAL_WARM_AT_START: 'false',
        NODE_OPTIONS: '',
      },
      cwd: folder,
      log,
      ready: lineInLog(log, /Aloft is ready/, 60_000),
      onUnexpectedEnd: (how) => onUnexpectedEnd('platform', how),
    });
    const front = await TcpProxy.listen({ host: '127.0.0.1', port: grpc });
    try {
      await managed.start();
    } catch (error) {
      await managed.end();
      await front.close();
      throw error;
    }
    return new EmbeddedPlatform(folder, `127.0.0.1:${grpc}`, managed, front);
  }

  get grpc(): string {
    return `127.0.0.1:${this.front.address.port}`;
  }

  get logs(): readonly string[] {
    return [this.process.settings.log, join(this.folder, 'data', 'postgres', 'server.log')];
  }

  processes(role: string): ProcessTarget[] {
    switch (role) {
      case 'platform':
        return [this.platformTarget()];
      case 'launcher':
        return this.childrenOf(this.process.pid)
          .filter(({ command }) => command.includes('launcher/main.js'))
          .map((info) => observedProcess('launcher', info, () => this.process.settled()));
      case 'postgres': {
        const postmaster = this.postmaster();
        return postmaster ? [this.postgresTarget(postmaster)] : [];
      }
      case 'postgres-backend': {
        const postmaster = this.postmaster();
        return this.childrenOf(postmaster?.pid)
          .filter(({ command }) => /\[local\]|127\.0\.0\.1\(/.test(command))
          .map((info) => observedProcess(nameOfBackend(info), info, () => this.process.settled()));
      }
      default:
        return [];
    }
  }

  links(role: string): LinkTarget[] {
    return role === 'clients' ? [{ name: 'clients → platform', set: (state) => this.front.set(state) }] : [];
  }

  async stop(): Promise<string[]> {
    this.front.heal();
    const postmaster = this.postmaster();
    const how = await this.process.end();
    await this.front.close();
    const wrong = how === 'in good order' ? [] : ['the platform did not stop within 30 s of SIGTERM'];
    return [...wrong, ...(await leftOvers(this.folder, postmaster ? [postmaster] : []))];
  }

  private platformTarget(): ProcessTarget {
    const managed = this.process;
    return {
      name: 'platform',
      kill: () => managed.kill(),
      stop: () => managed.terminate(30_000),
      pause: () => managed.pause(),
      resume: () => managed.resume(),
      start: () => managed.start(),
    };
  }

  /** Without its database the platform ends itself; its supervisor starts both again. */
  private postgresTarget(info: ProcessInfo): ProcessTarget {
    const target = observedProcess('postgres', info, async () => {
      for (const until = Date.now() + 60_000; Date.now() < until; await delay(25)) {
        const now = this.postmaster();
        if (now && now.start !== info.start) break;
      }
      await this.process.settled();
    });
    return { ...target, name: 'postgres' };
  }

  private postmaster(): ProcessInfo | undefined {
    try {
      const file = readFileSync(join(this.folder, 'data', 'postgres', 'cluster', 'postmaster.pid'), 'utf8');
      const info = readProcess(Number(file.split('\n')[0]));
      return info?.command.includes(this.folder) ? info : undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  private childrenOf(pid: number | undefined): ProcessInfo[] {
    return pid === undefined ? [] : allProcesses().filter(({ parent }) => parent === pid);
  }
}

/** `postgres: aloft_propeller aloft [local] idle` is told by its role. */
export function nameOfBackend({ command }: ProcessInfo): string {
  return `postgres backend of ${/postgres: (\S+)/.exec(command)?.[1] ?? 'nobody'}`;
}
