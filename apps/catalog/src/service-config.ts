import { databaseConfig, grpcConfig, serviceConfig } from '@aloft/service';

/** Settings of the catalog in a process of its own. */
export const catalogServiceConfig = serviceConfig.extend({
  database: databaseConfig,
  grpc: grpcConfig.prefault({}),
});
