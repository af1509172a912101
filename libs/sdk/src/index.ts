export { t } from './types/index.js';
export { DataType, FlyteDirectory, FlyteFile } from './types/index.js';
export type {
  AnyType,
  DurationText,
  Fields,
  FileTransfer,
  FlyteError,
  Json,
  ValueOf,
  Values,
  WireOf,
} from './types/index.js';
export { dynamic, task, taskReference, type TaskOptions } from './task.js';
export { containerTask, shellTask, type ContainerTaskOptions, type ShellTaskOptions } from './container-task.js';
export { inOrder, workflow, type WorkflowInputs, type WorkflowOptions } from './workflow.js';
export { map, type MapOptions, type SuccessGoal } from './map.js';
export { when, type OpenBranch } from './branch.js';
export { approve, sleep, waitForSignal } from './gates.js';
export { launchPlan, launchPlanReference, type LaunchPlanOptions } from './launch-plan.js';
export { and, eq, ge, gt, isFalse, isTrue, le, lt, ne, or, type Condition } from './graph/conditions.js';
export { at, type Promised } from './graph/promise.js';
export type { CacheOptions, NodeOptions, Resources } from './graph/node.js';
export { DefinitionError, RecoverableError, TypeMismatchError } from './errors.js';
export { escapeHtml, type Checkpoint, type Deck, type TaskContext } from './context.js';
export { declaredEntities, nameExports, nameOf } from './registry.js';
export { definitionOf, entityBrand } from './entities.js';
export type {
  Arguments,
  Entity,
  EntityReference,
  LaunchPlan,
  LocalNodeEvent,
  LocalOptions,
  Notification,
  Outputs,
  Schedule,
  Task,
  TaskDefinition,
  Workflow,
  WorkflowDefinition,
} from './entities.js';
