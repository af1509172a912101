export { Standalone } from './standalone.js';
export { standaloneConfigSchema, type StandaloneConfig } from './config.js';
