import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Owner } from './processes.js';

/** `embedded`: everything in one process. `distributed`: two processes of each service over Kafka, Postgres and S3. */
export type Shape = 'embedded' | 'distributed';

/** A platform of its own for the measurement: fresh data, free ports. */
export interface MeasuredPlatform {
  grpc: string;
  http: string;
  /** Roots of the trees of processes whose CPU time counts. */
  processes: ReadonlyMap<number, Owner>;
  dataDir: string;
  /** Ends it and removes its data, unless they are to be kept. */
  stop(): Promise<void>;
  /** SIGKILL to the platform's own process, as a crash would; its data stay for {@link PlatformOptions.folder}. Embedded only. */
  kill(): Promise<void>;
  /** The folder of its data. */
  folder: string;
}

export interface PlatformOptions {
  /** For every process of ours (settings, or where its spans go). */
  environment?: Record<string, string>;
  /** Of a platform that was killed: goes on with its data. */
  folder?: string;
  /** Of the distributed shape: services that end are started again. */
  restart?: boolean;
  /** Whether its data stay when it ends. */
  keep?: boolean;
}

const fromRoot = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

export async function startPlatform(
  shape: Shape,
  { environment = {}, folder = newFolder(), keep = false, restart = false }: PlatformOptions = {},
): Promise<MeasuredPlatform> {
  const dataDir = join(folder, 'data');
  const command =
    shape === 'embedded'
      ? ['--max-semi-space-size=128', ...profiling(), fromRoot('apps/standalone/dist/main.js')]
      : [fromRoot('tools/distributed.mjs'), ...(restart ? [] : ['--no-restart'])];
  const child = spawn(process.execPath, command, {
    env: {
      ...process.env,
      ...environment,
      ALOFT_DATA_DIR: dataDir,
      ALOFT_GRPC_PORT: '0',
      ALOFT_HTTP_PORT: '0',
      ALOFT_LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { grpc, http } = await ready(child);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    grpc,
    http,
    dataDir,
    folder,
    processes: shape === 'embedded' ? new Map([[child.pid as number, 'ours']]) : processesOf(dataDir),
    async stop() {
      child.kill('SIGTERM');
      await ended;
      if (!keep) rmSync(folder, { recursive: true, force: true });
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

function newFolder(): string {
  const folder = mkdtempSync(join(process.env['ALOFT_BENCH_DIR'] ?? tmpdir(), 'aloft-bench-'));
  chmodSync(folder, 0o755);
  return folder;
}

/** What the launcher of the distributed shape wrote down about its processes. */
interface Topology {
  kafka: { pid: number };
  postgres: { pid: number };
  s3: { pid: number };
  services: { name: string; pid: number }[];
}

function processesOf(dataDir: string): Map<number, Owner> {
  const topology = JSON.parse(readFileSync(join(dataDir, 'topology.json'), 'utf8')) as Topology;
  return new Map<number, Owner>([
    ...topology.services.map(({ pid }) => [pid, 'ours'] as const),
    [topology.kafka.pid, 'kafka'],
    [topology.postgres.pid, 'postgres'],
    [topology.s3.pid, 's3'],
  ]);
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
