import { blobConfig, busConfig, databaseConfig, grpcConfig, grpcTarget, serviceConfig } from '@aloft/service';
import { propellerConfigSchema } from './config.js';
import { checkBackends } from './launch/routing.js';

/** Settings of a propeller in a process of its own. */
export const propellerServiceConfig = serviceConfig
  .extend({
    database: databaseConfig,
    bus: busConfig,
    blob: blobConfig.prefault({}),
    /** Other services read the logs of runs here. */
    grpc: grpcConfig.prefault({}),
    adminAddress: grpcTarget,
    catalogAddress: grpcTarget,
    propeller: propellerConfigSchema,
  })
  .superRefine(({ propeller }, context) => checkBackends(propeller, propeller.backends.known, context));
