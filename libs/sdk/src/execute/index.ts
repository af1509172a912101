export { main, type ExecuteOptions, type ExecuteOutcome } from './main.js';
export { parseArguments, type ExecuteArguments } from './arguments.js';
export { loadModule, stemOf, unpackBundle } from './load.js';
