import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** The workspace's root. */
export const root = fileURLToPath(new URL('../../../../', import.meta.url));

/** A real server on this machine, as tools/infra starts it. */
export interface Server {
  readonly pid: number;
  readonly log: string;
  stop(): Promise<void>;
  kill(): Promise<void>;
  pause(): void;
  resume(): void;
  /** Again, on the same data and port, after a stop or a kill. */
  launch(): Promise<void>;
}

export interface KafkaServer extends Server {
  brokers: string[];
}

export interface PostgresServer extends Server {
  url: string;
  port: number;
}

export interface S3Server extends Server {
  endpoint: string;
  bucket: string;
  accessKeyId: string;
  secretAccessKey: string;
}

async function module<T>(...path: string[]): Promise<T> {
  return (await import(pathToFileURL(join(root, 'tools', ...path)).href)) as T;
}

export async function startPostgres(dir: string): Promise<PostgresServer> {
  const { start } = await module<{ start(options: object): Promise<PostgresServer> }>('infra', 'postgres.mjs');
  return start({ dir });
}

export async function startS3(dir: string, secretAccessKey: string): Promise<S3Server> {
  const { start } = await module<{ start(options: object): Promise<S3Server> }>('infra', 's3.mjs');
  return start({ dir, secretAccessKey });
}

export async function startKafka(
  dir: string,
  port: number,
  properties: Record<string, string | number>,
): Promise<KafkaServer> {
  const { start } = await module<{ start(options: object): Promise<KafkaServer> }>('infra', 'kafka.mjs');
  return start({ dir, port, properties });
}

export interface Front {
  listen(port: number, targets: () => { host: string; port: number; ready: string }[]): Promise<string>;
  close(): Promise<void>;
}

/** The spreader that `npm run start:distributed` has in front of its admins. */
export async function createFront(): Promise<Front> {
  const { Front } = await module<{ Front: new () => Front }>('distributed', 'front.mjs');
  return new Front();
}
