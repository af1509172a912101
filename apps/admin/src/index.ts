export { createAdminServices, type AdminDependencies, type AdminServices } from './admin.js';
export {
  adminExtraRoutes,
  adminGrpcServices,
  AdminModule,
  adminOpenApi,
  type AdminModuleDependencies,
} from './admin.module.js';
export { adminConfigSchema, type AdminConfig } from './config.js';
export { AdminLifecycle } from './lifecycle.js';
export { adminMigrations } from './migrations/index.js';
export { parentAttemptHeader } from './executions/executions.controller.js';
