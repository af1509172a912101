import { blobConfig, busConfig, databaseConfig, grpcConfig, grpcTarget, serviceConfig } from '@aloft/service';
import { adminConfigSchema } from './config.js';

/** Settings of admin in a process of its own. */
export const adminServiceConfig = serviceConfig.extend({
  database: databaseConfig,
  bus: busConfig,
  blob: blobConfig.prefault({}),
  grpc: grpcConfig.prefault({}),
  /** Where the logs of runs are read, for history, replay and explanations. */
  propellerAddress: grpcTarget,
  admin: adminConfigSchema,
});
