export { notifierConfigSchema, type NotificationRule, type NotifierConfig, type SecretReference } from './config.js';
export { notifierMigrations } from './migrations.js';
export { Notifier, type NotifierDependencies } from './notifier.js';
export { NotifierModule } from './notifier.module.js';
export type { ExecutionReader } from './runs/expansion.service.js';
