export { Propeller, propellerGroup, type PropellerDeps, type PropellerStatus } from './propeller.js';
export { propellerConfigSchema, type PropellerConfig } from './config.js';
export { checkBackends, type HostsHere } from './launch/routing.js';
export { propellerMigrations } from './migrations.js';
export { PropellerModule, propellerServices, type PropellerDependencies } from './propeller.module.js';
export { PropellerService } from './propeller.service.js';
export { propellerTopics } from './events/outgoing.js';
export { parentAttemptHeader } from './requests/child-requests.js';
