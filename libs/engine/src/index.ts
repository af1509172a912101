export * from './api.js';
export { compileGraph } from './graph/compile-graph.js';
export * from './names.js';
export { createRun, graphOf, graphsOf, restoreRun, runs } from './runs.js';
