import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export type App = 'admin' | 'catalog' | 'propeller' | 'notifier' | 'backends';

/** A server of `tools/infra`, as far as these suites use it. */
export interface Server {
  stop(): Promise<void>;
  kill(): Promise<void>;
  launch(): Promise<void>;
  pause(): void;
  resume(): void;
}
export type PostgresServer = Server & { url: string; port: number };
export type KafkaServer = Server & { brokers: string[] };
export type S3Server = Server & { endpoint: string; accessKeyId: string; secretAccessKey: string; bucket: string };

interface Infra {
  postgres: PostgresServer;
  kafka: KafkaServer;
  s3: S3Server;
}

let loading: Promise<unknown> = Promise.resolve();

/**
 * A module of `tools/`. One after the other: Jest's loader fails two imports that reach the same module at one time
 * ("request for 'node:crypto' is not in cache").
 */
function load<T>(path: string): Promise<T> {
  const { href } = new URL(`../../tools/${path}`, import.meta.url);
  const loaded = loading.then(async () => (await import(href)) as T);
  loading = loaded.catch(() => undefined);
  return loaded;
}

/** Starts a real server of its own in `dir`. */
export async function startServer<N extends keyof Infra>(name: N, dir: string): Promise<Infra[N]> {
  const { start } = await load<{ start(options: { dir: string }): Promise<Infra[N]> }>(`infra/${name}.mjs`);
  return start({ dir });
}

export interface Launcher {
  readonly infra: Infra;
  start(tell: (line: string) => void): Promise<{
    front: { grpc: string; http: string };
    services: { name: App; http: string; pid: number; log: string }[];
  }>;
  stop(): Promise<void>;
}

/** What `npm run start:distributed` runs, one of each service. */
export async function launcher(dataDir: string): Promise<Launcher> {
  const { Launcher: Class } = await load<{ Launcher: new (options: object) => Launcher }>('distributed/launcher.mjs');
  const root = fileURLToPath(new URL('../../', import.meta.url));
  return new Class({ root, dataDir, replicas: 1, bus: 'kafka', restart: false, ports: { grpc: 0, http: 0 } });
}

export interface Ended {
  code: number | null;
  /** Standard error: the one message of a start that failed. */
  message: string;
  milliseconds: number;
}

/** Runs a service (or a command of it) to its end; kills it after a minute. */
export async function ended(app: App, env: Record<string, string>, ...args: string[]): Promise<Ended> {
  const main = fileURLToPath(new URL(`../../apps/${app}/dist/main.js`, import.meta.url));
  const { PATH = '', HOME = '' } = process.env;
  const started = Date.now();
  const child = spawn(process.execPath, ['--no-warnings', main, ...args], {
    cwd: '/',
    env: { PATH, HOME, ALOFT_HTTP_PORT: '0', ALOFT_GRPC_PORT: '0', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let message = '';
  child.stderr.on('data', (chunk) => (message += String(chunk)));
  const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearTimeout(timer);
  return { code, message, milliseconds: Date.now() - started };
}
