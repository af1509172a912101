export { Backends, backendsMigrations, type BackendsDependencies } from './backends.js';
export { BackendsModule } from './backends.module.js';
export { backendsConfigSchema, type BackendsConfig } from './config.js';
export { defaultPython, type LocalBackendSurroundings } from './local-backend.js';
export { lacksDependencies, missingPlaces, type NamedPlace } from './places.js';
export { backendNames } from './service-config.js';
