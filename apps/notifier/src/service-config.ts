import { busConfig, databaseConfig, grpcTarget, serviceConfig } from '@aloft/service';
import { notifierConfigSchema } from './config.js';

/** Settings of the notifier in a process of its own. */
export const notifierServiceConfig = serviceConfig.extend({
  database: databaseConfig,
  bus: busConfig,
  adminAddress: grpcTarget,
  notifier: notifierConfigSchema.prefault({}),
});
