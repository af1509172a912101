import type { WebApiLimits } from '@aloft/backend-kit';
import type { ObserverOptions } from './observer.js';

/** One server of connectors: a process that serves flyteidl's agent services. */
export interface ConnectorServer {
  /** For people: logs, errors. */
  name: string;
  /** `host:port`, several of them, or `dns:///name:port`. */
  address: string;
  /** Default: plain text. `ca`: the authority of its certificate as PEM, where the system does not know it. */
  tls?: { ca?: Buffer | undefined };
  /** Headers of every call: an access token. */
  metadata?: () => Record<string, string>;
  /** Task types that it serves, where it cannot list them itself. */
  taskTypes: readonly string[];
  /** Largest request that it takes, in bytes: of larger ones the largest inputs are stored, and the request says where (C-105). */
  maxRequestBytes: number;
  timeoutsMs: {
    list: number;
    create: number;
    get: number;
    delete: number;
    /** Of a task that is executed within its call. */
    sync: number;
  };
}

export interface ConnectorOptions {
  servers: readonly ConnectorServer[];
  /** Name of the server that gets task types that none lists; default: they are refused. */
  fallback?: string | undefined;
  /** Attempts in flight at once. */
  slots: number;
  /** Milliseconds between two looks at what the servers list. */
  listEveryMs: number;
  limits?: Partial<WebApiLimits>;
  /** How often, and where, logs and metrics of jobs are seen. */
  observe: ObserverOptions;
  /** Largest inputs and outputs that travel in a message, in bytes. */
  maxMessageBytes: number;
}

/** What gRPC servers take unless they are told otherwise; flytekit's is not. */
export const grpcMessageBytes = 4 * 1024 * 1024;

export const defaultTimeouts: ConnectorServer['timeoutsMs'] = {
  list: 5_000,
  create: 30_000,
  get: 10_000,
  delete: 30_000,
  sync: 600_000,
};
