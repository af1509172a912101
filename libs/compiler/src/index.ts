export { CompileFailure, refuse, type CompileError, type CompileErrorCode } from './compile-error.js';
export { compileTask, taskErrors } from './compile-task.js';
export { compileWorkflow, checkWorkflow, type CompileResult, type WorkflowToCompile } from './compile-workflow.js';
export { compileDynamic, dynamicRequirements, type DynamicToCompile } from './compile-dynamic.js';
export { requirementsOf, innerNodes, withInnerNodes, type Requirements } from './requirements.js';
export { startNodeId, endNodeId, providersOf } from './bindings.js';
export { formatIdentifier, identifierKey } from './identifier.js';
export type { LaunchPlanInterface } from './node-interface.js';
export { parseQuantity } from './quantity.js';
