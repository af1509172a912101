import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../apps/standalone/dist/main.js', import.meta.url));

/** The embedded platform as its own process, which can be killed and started again on the same data. */
export class Embedded {
  readonly folder = mkdtempSync(join(tmpdir(), 'aloft-trace-'));
  grpc = '';
  http = '';
  /** Lines that it logged. */
  readonly log: Record<string, unknown>[] = [];
  private child: ChildProcess | undefined;

  constructor(private readonly env: Record<string, string>) {}

  /** Variables from the next start on. */
  use(env: Record<string, string>): void {
    Object.assign(this.env, env);
  }

  async start(): Promise<void> {
    const child = spawn(process.execPath, [main], {
      env: {
        ...process.env,
        ...this.env,
        ALOFT_DATA_DIR: join(this.folder, 'data'),
        ALOFT_GRPC_PORT: '0',
        ALOFT_HTTP_PORT: '0',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.child = child;
    await new Promise<void>((resolve, reject) => {
      let rest = '';
      child.stdout.on('data', (chunk: Buffer) => {
        const lines = (rest + chunk.toString()).split('\n');
        rest = lines.pop()!;
        for (const line of lines) {
          if (line.startsWith('{')) this.log.push(JSON.parse(line) as Record<string, unknown>);
          const ready = /gRPC (\S+:\d+), HTTP (http:\/\/[^,\s]+)/.exec(line);
          if (!ready) continue;
          [, this.grpc, this.http] = ready as unknown as [string, string, string];
          resolve();
        }
      });
      child.once('exit', (code, signal) =>
        reject(new Error(`the platform ended (${signal ?? code}) before it was ready`)),
      );
    });
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const { child } = this;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  async close(): Promise<void> {
    await this.end('SIGTERM');
    rmSync(this.folder, { recursive: true, force: true });
  }
}
