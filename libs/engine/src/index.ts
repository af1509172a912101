export * from './api.js';
export { compileGraph } from './graph/compile-graph.js';
export { packedGraphVersion, packGraph, unpackGraph } from './graph/pack-graph.js';
export * from './names.js';
export { createRun, graphOf, graphsOf, restoreRun, runs } from './runs.js';
export { Behaviour, currentBehaviours } from './behaviours.js';
export { parseDuration } from './settings/duration-text.js';
export { parseRetryPolicy } from './settings/retry-policy.js';
export { policyKeys, taskPolicyOf, type TaskPolicy } from './settings/task-policy.js';
