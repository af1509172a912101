import { blobConfig, busConfig, databaseConfig, grpcTarget, serviceConfig } from '@aloft/service';
import { z } from 'zod';
import { backendsConfigSchema, type BackendsConfig } from './config.js';

/** Settings of a process with backend hosts. */
export const backendsServiceConfig = serviceConfig.extend({
  database: databaseConfig,
  bus: busConfig,
  blob: blobConfig.prefault({}),
  /** Work folders and the host's identity; each process has one of its own. */
  dataDir: z.string().min(1).default('.aloft'),
  /** Interpreter of Python tasks (default: the active virtual environment's, else python3). */
  python: z.string().min(1).optional(),
  /** How people reach the platform's HTTP server, for links in logs and tasks. */
  publicUrl: z.url().default('http://localhost:8088'),
  /** gRPC address for tasks that call the platform themselves. */
  platformAddress: grpcTarget.optional(),
  backends: backendsConfigSchema,
});

/** Names of the backends that the configuration enables. */
export function backendNames({ local, connector, awsBatch, kubernetes, spark, plugins }: BackendsConfig): string[] {
  return [
    ...(local.enabled ? ['local'] : []),
    ...(connector.servers.length > 0 ? ['connector'] : []),
    ...(awsBatch.queues.length > 0 ? ['aws-batch'] : []),
    ...(kubernetes.clusters.length > 0 ? ['kubernetes'] : []),
    ...(spark.enabled ? ['spark'] : []),
    ...Object.keys(plugins),
  ];
}

/** Where they find their work. */
export const commandTopics = (config: BackendsConfig): string[] =>
  backendNames(config).map((name) => `tasks.commands.${name}`);
