import { adminConfigSchema } from '@aloft/admin';
import {
  backendNames,
  backendsConfigSchema,
  lacksDependencies,
  missingPlaces,
  type BackendsConfig,
} from '@aloft/backends';
import { notifierConfigSchema } from '@aloft/notifier';
import { checkBackends, propellerConfigSchema, type PropellerConfig } from '@aloft/propeller';
import { corsConfig, telemetryConfig } from '@aloft/service';
import { z } from 'zod';

const port = z.number().int().min(0).max(65535);

/** Settings of the whole platform in one process; each is also a variable (`grpc.port`: ALOFT_GRPC_PORT). */
export const standaloneConfigSchema = z
  .object({
    /** Everything that lasts lies under it: database, blobs, work folders. */
    dataDir: z.string().min(1).default('.aloft'),
    /** Interface that all servers listen on. */
    host: z.string().min(1).default('127.0.0.1'),
    grpc: z
      .object({
        port: port.default(8089),
        /** Largest gRPC message, in bytes. */
        maxMessageBytes: z
          .number()
          .int()
          .min(65536)
          .default(16 * 1024 * 1024),
      })
      .prefault({}),
    http: z.object({ port: port.default(8088), cors: corsConfig.prefault({}) }).prefault({}),
    /** Port of the S3 endpoint over the blob folder; 0: one that is free at the first start, and the same ever after. */
    s3: z.object({ port: port.default(0) }).prefault({}),
    /** Port of the embedded Postgres; 0: any free one. */
    postgres: z.object({ port: port.default(0) }).prefault({}),
    /** How people reach the HTTP server, for links (default: its own address). */
    publicUrl: z.url().optional(),
    logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']).default('warn'),
    /** Interpreter of Python tasks (default: the active virtual environment's, else python3). */
    python: z.string().min(1).optional(),
    /** Traces; `serviceName` is `aloft` by default, and each part is a scope of its own. */
    telemetry: telemetryConfig.prefault({}),
    admin: adminConfigSchema,
    propeller: propellerConfigSchema,
    backends: backendsConfigSchema,
    notifier: notifierConfigSchema.prefault({}),
  })
  .superRefine(({ propeller, backends }, context) => {
    checkBackends(propeller, knownBackends({ propeller, backends }), context);
    for (const [i, rule] of propeller.backends.rules.entries())
      for (const { key, message } of missingPlaces(backends, rule))
        context.addIssue({ code: 'custom', path: ['propeller', 'backends', 'rules', i, key], message });
    for (const [i, backend] of propeller.backends.nativeDependencies.entries()) {
      const message = lacksDependencies(backends, backend);
      const path = ['propeller', 'backends', 'nativeDependencies', i];
      if (message !== undefined) context.addIssue({ code: 'custom', path, message });
    }
  });

/** The propeller knows every backend that this process has hosts of. */
export function knownBackends({
  propeller,
  backends,
}: {
  propeller: PropellerConfig;
  backends: BackendsConfig;
}): string[] {
  return [...new Set([...propeller.backends.known, ...backendNames(backends)])];
}

export type StandaloneConfig = z.output<typeof standaloneConfigSchema>;
