import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A platform of its own for the measurement: fresh data, free ports. */
export interface MeasuredPlatform {
  grpc: string;
  http: string;
  pids: number[];
  dataDir: string;
  stop(): Promise<void>;
}

const main = fileURLToPath(new URL('../../apps/standalone/dist/main.js', import.meta.url));

export async function startPlatform(): Promise<MeasuredPlatform> {
  const folder = mkdtempSync(join(process.env['ALOFT_BENCH_DIR'] ?? tmpdir(), 'aloft-bench-'));
  chmodSync(folder, 0o755);
  const dataDir = join(folder, 'data');
  const child = spawn(process.execPath, ['--max-semi-space-size=64', ...profiling(), main], {
    env: {
      ...process.env,
      ALOFT_DATA_DIR: dataDir,
      ALOFT_GRPC_PORT: '0',
      ALOFT_HTTP_PORT: '0',
      ALOFT_LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { grpc, http } = await ready(child);
  return {
    grpc,
    http,
    dataDir,
    pids: [child.pid as number],
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** With ALOFT_BENCH_PROFILE=<folder>: a CPU profile of the platform is written there when it ends. */
function profiling(): string[] {
  const folder = process.env['ALOFT_BENCH_PROFILE'];
  return folder ? ['--cpu-prof', `--cpu-prof-dir=${folder}`] : [];
}

function ready(child: ChildProcess): Promise<{ grpc: string; http: string }> {
  return new Promise((resolve, reject) => {
    let seen = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
      const found = /gRPC (\S+:\d+), HTTP (http:\/\/\S+?)(?:,|\s|$)/.exec(seen);
      if (found) resolve({ grpc: found[1] as string, http: found[2] as string });
    });
    child.once('exit', (code) => reject(new Error(`the platform ended with ${code} before it was ready:\n${seen}`)));
  });
}
