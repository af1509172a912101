import { z } from 'zod';

const port = z.number().int().min(0).max(65535);
const postgresUrl = z.url({
  protocol: /^postgres(ql)?$/,
  error: 'should be postgresql://user:password@host:port/database',
});
/** `a:1,b:2` in a variable, a list in YAML. */
const addresses = z.preprocess(
  (value) => (typeof value === 'string' ? value.split(',').map((each) => each.trim()) : (value ?? [])),
  z.array(z.string().regex(/^.+:\d+$/, 'should be host:port')),
);

/** A service's own schema in Postgres. */
export const databaseConfig = z.object({
  /** Of the service's role; it owns its schema and may touch no other. */
  url: postgresUrl,
  /** Connections at most. */
  poolSize: z.number().int().positive().default(8),
  /** `check`: refuse to start on a schema that is too old or too new; `run`: bring it up to date at the start. */
  migrations: z.enum(['check', 'run']).default('check'),
});

const saslConfig = z.object({
  mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512', 'aws-iam']),
  username: z.string().min(1).optional(),
  password: z.string().min(1).optional(),
  /** Of the MSK cluster, for `aws-iam`. */
  region: z.string().min(1).optional(),
});

export const busConfig = z
  .object({
    driver: z.enum(['kafka', 'postgres']).default('kafka'),
    /** Of every topic; the same in all services, fixed when the installation is made. */
    partitions: z.number().int().min(1).max(1024).default(8),
    kafka: z
      .object({
        brokers: addresses.default([]),
        clientId: z.string().min(1).optional(),
        /** In front of every topic's name, for clusters that are shared. */
        topicPrefix: z.string().default(''),
        replicationFactor: z.number().int().positive().default(3),
        minInSyncReplicas: z.number().int().positive().default(2),
        retentionMs: z
          .number()
          .int()
          .positive()
          .default(7 * 24 * 3_600_000),
        /** Make missing topics at the start; otherwise they must be there. */
        createTopics: z.boolean().default(true),
        tls: z
          .object({
            enabled: z.boolean().default(false),
            caFile: z.string().min(1).optional(),
            certFile: z.string().min(1).optional(),
            keyFile: z.string().min(1).optional(),
            rejectUnauthorized: z.boolean().default(true),
          })
          .prefault({}),
        sasl: saslConfig.optional(),
      })
      .prefault({}),
    /** Of the role `aloft_bus`, in the database that the services' schemas are in. */
    postgres: z.object({ url: postgresUrl.optional() }).prefault({}),
  })
  .superRefine(({ driver, kafka, postgres }, context) => {
    if (driver === 'kafka' && kafka.brokers.length === 0)
      context.addIssue({
        code: 'custom',
        path: ['kafka', 'brokers'],
        message: 'the driver is "kafka": name its brokers as host:port[,host:port…]',
      });
    if (driver === 'postgres' && postgres.url === undefined)
      context.addIssue({
        code: 'custom',
        path: ['postgres', 'url'],
        message: 'the driver is "postgres": give the URL of the role that owns the schema "bus"',
      });
  });

/** S3 or anything that speaks its protocol. */
export const blobConfig = z.object({
  bucket: z.string().min(1).default('aloft'),
  /** Of another than AWS's. */
  endpoint: z.url().optional(),
  region: z.string().min(1).default('us-east-1'),
  /** Without keys: the AWS default chain (IRSA, instance role, environment). */
  accessKeyId: z.string().min(1).optional(),
  secretAccessKey: z.string().min(1).optional(),
  /** Where clients reach the same storage, if not at `endpoint`: signed URLs name it. */
  publicEndpoint: z.url().optional(),
});

export const grpcConfig = z.object({
  /** Interface to listen on; 0.0.0.0 in containers. */
  host: z.string().min(1).default('127.0.0.1'),
  port: port.default(8089),
  /** Largest gRPC message, in bytes. */
  maxMessageBytes: z
    .number()
    .int()
    .min(65536)
    .default(16 * 1024 * 1024),
  /**
   * Age at which a connection is told to reconnect, so that clients spread over replicas that came later; 0: never. Calls on
   * it end in their own time.
   */
  maxConnectionAgeMs: z.number().int().nonnegative().default(300_000),
});

/** `a,b` in a variable, a list in YAML. */
const texts = <T extends z.ZodType>(one: T) =>
  z.preprocess(
    (value) =>
      typeof value === 'string'
        ? value
            .split(',')
            .map((each) => each.trim())
            .filter((each) => each !== '')
        : (value ?? []),
    z.array(one),
  );

const origin = z
  .string()
  .regex(/^(\*|https?:\/\/[^/]+)$/, 'should be * or an origin without a path, as https://console.example.com');

/** Which other origins' pages may call the HTTP API from a browser (CORS). */
export const corsConfig = z
  .object({
    /** None: CORS is off. */
    origins: texts(origin).prefault([]),
    /** Cookies and credentials of the browser may come along. */
    credentials: z.boolean().default(false),
    /** Headers that such requests may carry. */
    allowedHeaders: texts(z.string().regex(/^[\w-]+$/, 'should be the name of a header')).prefault([
      'Authorization',
      'Content-Type',
    ]),
    /** Seconds for which a browser may remember the answer. */
    maxAgeSeconds: z.number().int().nonnegative().max(86_400).default(600),
  })
  .refine(({ origins, credentials }) => !credentials || !origins.includes('*'), {
    path: ['origins'],
    message: 'with credentials, name the origins: * would let every page act for whoever is logged in',
  });

export const httpConfig = z.object({
  host: z.string().min(1).default('127.0.0.1'),
  port: port.default(8088),
  cors: corsConfig.prefault({}),
});

export const telemetryConfig = z.object({
  /** OTLP collector, as `http://collector:4318`; without it nothing is exported. */
  otlpEndpoint: z.url().optional(),
  /** Part of the traces that are recorded, 0…1. */
  sampleRatio: z.number().min(0).max(1).default(1),
  /** Default: `aloft-<service>`. */
  serviceName: z.string().min(1).optional(),
});

export const shutdownConfig = z.object({
  /** Between "not ready" and the end of serving: load balancers need it to notice. */
  drainDelayMs: z.number().int().nonnegative().default(0),
  /** What is under way has this long to end, before it is cut. */
  graceMs: z.number().int().positive().default(20_000),
});

export const startConfig = z.object({
  /** How long a part that cannot be reached is waited for, before the start is given up. */
  patienceMs: z.number().int().nonnegative().default(10_000),
});

/** `host:port[,host:port…]` or `dns:///name:port`: calls go round robin over all of them. */
export const grpcTarget = z
  .string()
  .regex(/^(dns:\/\/\/.+|[^/]+:\d+)$/, 'should be host:port[,host:port…] or dns:///name:port');

/** What every service has; each adds its parts: `serviceConfig.extend({ database: databaseConfig, … })`. */
export const serviceConfig = z.object({
  http: httpConfig.prefault({}),
  telemetry: telemetryConfig.prefault({}),
  shutdown: shutdownConfig.prefault({}),
  start: startConfig.prefault({}),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']).default('info'),
});

export type DatabaseConfig = z.output<typeof databaseConfig>;
export type BusConfig = z.output<typeof busConfig>;
export type BlobConfig = z.output<typeof blobConfig>;
export type GrpcConfig = z.output<typeof grpcConfig>;
export type CorsConfig = z.output<typeof corsConfig>;
export type HttpConfig = z.output<typeof httpConfig>;
export type TelemetryConfig = z.output<typeof telemetryConfig>;
export type ShutdownConfig = z.output<typeof shutdownConfig>;
export type ServiceConfig = z.output<typeof serviceConfig>;
