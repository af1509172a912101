export { bundleFile, type Bundle, type BundleOptions } from './bundle/bundle.js';
export { connect, type Connection, type Target } from './connection.js';
export { registerFile, type Registered, type Registration, type RegisterOptions } from './register.js';
export { startRun } from './commands/run.js';
export { followRun } from './watch/watch.js';
export { RunState, isFromCatalog, type NodeState } from './watch/run-state.js';
export { program, runProgram } from './program.js';
