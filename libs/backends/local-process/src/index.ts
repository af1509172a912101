export { LocalProcessBackend } from './local-process-backend.js';
export type { LocalProcessOptions } from './options.js';
export { variableName } from './environment.js';
