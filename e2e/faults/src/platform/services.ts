import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ManagedProcess } from '../processes/managed-process.js';
import { freePort } from '../processes/ready.js';
import type { Address } from '../proxy/tcp-proxy.js';
import { root } from './infra.js';

export const serviceNames = ['catalog', 'admin', 'propeller', 'backends', 'notifier'] as const;
export type ServiceName = (typeof serviceNames)[number];
const servesGrpc: ReadonlySet<string> = new Set(['catalog', 'admin', 'propeller']);

export interface Replica {
  name: ServiceName;
  replica: number;
  /** `propeller-0`. */
  id: string;
  http: number;
  grpc?: number;
}

/** Where one replica finds what it stands on: addresses of its own lines. */
export interface Surroundings {
  postgres: Address;
  kafka?: Address;
  s3: Address;
  admins: Address[];
  catalogs: Address[];
  propellers: Address[];
  /** Not through a line: links that people and tasks follow. */
  front: { grpc: string };
}

export interface Credentials {
  databasePasswords: Record<ServiceName | 'bus', string>;
  s3: { bucket: string; accessKeyId: string; secretAccessKey: string };
}

const run = promisify(execFile);
export const partitions = 8;

export async function planReplicas(count: number): Promise<Replica[]> {
  const replicas: Replica[] = [];
  for (const name of serviceNames)
    for (let replica = 0; replica < count; replica++)
      replicas.push({
        name,
        replica,
        id: `${name}-${replica}`,
        http: await freePort(),
        ...(servesGrpc.has(name) ? { grpc: await freePort() } : {}),
      });
  return replicas;
}

export function newPasswords(): Credentials['databasePasswords'] {
  const password = () => randomBytes(12).toString('hex');
  return Object.fromEntries(
    [...serviceNames, 'bus'].map((name) => [name, password()]),
  ) as Credentials['databasePasswords'];
}

const at = ({ host, port }: Address): string => `${host}:${port}`;

/** Settings by the names that every service process has (docs of libs/service). */
export function environmentOf(
  { name, replica, http, grpc }: Replica,
  folder: string,
  { databasePasswords, s3 }: Credentials,
  { postgres, kafka, s3: s3Address, admins, catalogs, propellers, front }: Surroundings,
): NodeJS.ProcessEnv {
  const urlOf = (schema: ServiceName | 'bus') =>
    `postgresql://aloft_${schema}:${databasePasswords[schema]}@${at(postgres)}/aloft`;
  const inherited = Object.entries(process.env).filter(([key]) => !key.startsWith('ALOFT_') && key !== 'NODE_OPTIONS');
  return {
    ...Object.fromEntries(inherited),
    ALOFT_LOG_LEVEL: 'info',
    ALOFT_DATABASE_URL: urlOf(name),
    ALOFT_BUS_DRIVER: kafka ? 'kafka' : 'postgres',
    ALOFT_BUS_PARTITIONS: String(partitions),
    ALOFT_BUS_POSTGRES_URL: urlOf('bus'),
    ...(kafka
      ? {
          ALOFT_BUS_KAFKA_BROKERS: at(kafka),
          ALOFT_BUS_KAFKA_REPLICATION_FACTOR: '1',
          ALOFT_BUS_KAFKA_MIN_IN_SYNC_REPLICAS: '1',
        }
      : {}),
    ALOFT_BLOB_ENDPOINT: `http://${at(s3Address)}`,
    ALOFT_BLOB_BUCKET: s3.bucket,
    ALOFT_BLOB_ACCESS_KEY_ID: s3.accessKeyId,
    ALOFT_BLOB_SECRET_ACCESS_KEY: s3.secretAccessKey,
    ALOFT_HTTP_PORT: String(http),
    ...(grpc ? { ALOFT_GRPC_PORT: String(grpc) } : {}),
    ALOFT_ADMIN_ADDRESS: admins.map(at).join(','),
    ALOFT_CATALOG_ADDRESS: catalogs.map(at).join(','),
    ALOFT_PROPELLER_ADDRESS: propellers.map(at).join(','),
    ...(name === 'backends'
      ? {
          ALOFT_DATA_DIR: join(folder, 'hosts', String(replica)),
          ALOFT_PLATFORM_ADDRESS: front.grpc,
          ALOFT_BACKENDS_LOCAL_WARM_AT_START: 'false',
          ALOFT_BACKENDS_LOCAL_WARM_NODE: '1',
        }
      : {}),
  };
}

const mainOf = (name: ServiceName): string => join(root, 'apps', name, 'dist', 'main.js');

/** Makes schema and role, and brings the schema up to date. */
export async function migrateService(name: ServiceName, env: NodeJS.ProcessEnv, adminUrl: string, cwd: string) {
  await run(process.execPath, [mainOf(name), 'migrate'], {
    cwd,
    env: { ...env, ALOFT_DATABASE_ADMIN_URL: adminUrl },
  }).catch((error: { stderr?: string; message: string }) => {
    throw new Error(`the schema of ${name} could not be migrated: ${error.stderr || error.message}`);
  });
}

export function serviceProcess(
  { name, id, http }: Replica,
  env: NodeJS.ProcessEnv,
  folder: string,
  onUnexpectedEnd: (process: string, how: string) => void,
): ManagedProcess {
  return new ManagedProcess({
    name: id,
    command: process.execPath,
    args: [mainOf(name)],
    env,
    cwd: folder,
    log: join(folder, `${id}.log`),
    ready: ({ ended }) => readyz(`http://127.0.0.1:${http}/readyz`, ended, 120_000),
    onUnexpectedEnd: (how) => onUnexpectedEnd(id, how),
  });
}

async function readyz(url: string, ended: AbortSignal, withinMs: number): Promise<void> {
  let last = 'it did not answer';
  for (const until = Date.now() + withinMs; Date.now() < until; await delay(50)) {
    if (ended.aborted) throw new Error(`it ended before it was ready (${last})`);
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
      if (response.ok) return;
      last = (await response.text()).slice(0, 500);
    } catch (error) {
      last = String((error as Error).cause ?? error);
    }
  }
  throw new Error(`${url} did not answer well within ${withinMs} ms: ${last}`);
}
