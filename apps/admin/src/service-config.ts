import { blobConfig, busConfig, databaseConfig, grpcConfig, serviceConfig } from '@aloft/service';
import { adminConfigSchema } from './config.js';

/** Settings of admin in a process of its own. */
export const adminServiceConfig = serviceConfig.extend({
  database: databaseConfig,
  bus: busConfig,
  blob: blobConfig.prefault({}),
  grpc: grpcConfig.prefault({}),
  admin: adminConfigSchema,
});
