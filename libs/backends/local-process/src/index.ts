export { LocalProcessBackend } from './local-process-backend.js';
export type { LocalProcessOptions } from './options.js';
export type { Start, Starter } from './starter.js';
export { variableName } from './environment.js';
