import type { Simplify } from './inference.js';
import type { BindableFor } from './graph/promise.js';
import type { Promised } from './graph/promise.js';
import type { CacheOptions, Graph, NodeOptions, Resources } from './graph/node.js';
import type { TaskContext } from './context.js';
import type { Fields, GivenValues, OptionalKeys, RequiredKeys, Values, WireOf } from './types/data-type.js';
import type { DurationText } from './types/durations.js';

/** Inputs of a call inside a workflow: values and promises; what has a default or takes None may be missing. */
export type Arguments<I extends Fields> = Simplify<
  { readonly [K in RequiredKeys<I>]: BindableFor<I[K]> } & { readonly [K in OptionalKeys<I>]?: BindableFor<I[K]> }
>;

/** What a call inside a workflow gives: its outputs as promises. */
export type Outputs<O extends Fields> = { readonly [K in keyof O]: Promised<WireOf<O[K]>> };

/** A call's parameters: inputs may be left out altogether when none is required. */
export type CallParameters<I extends Fields> = [RequiredKeys<I>] extends [never]
  ? [inputs?: Arguments<I>, options?: NodeOptions]
  : [inputs: Arguments<I>, options?: NodeOptions];

export type LocalParameters<I extends Fields, X = never> = [RequiredKeys<I>] extends [never]
  ? [inputs?: Simplify<GivenValues<I>>, options?: X]
  : [inputs: Simplify<GivenValues<I>>, options?: X];

/** Brand that is the same in every copy of this package. */
export const entityBrand = Symbol.for('aloft.sdk.entity');

export interface SecretRequest {
  group?: string;
  key: string;
  /** How it comes into the task's process; `context.secret` reads either (default `env`). */
  mount?: 'env' | 'file';
}

export interface TaskSettings {
  retries?: number;
  /** Of one attempt (C-50). */
  timeout?: DurationText;
  /** Of a node over all attempts, their waits included; no other attempt follows (C-51). */
  activeTimeout?: DurationText;
  /** Of an attempt's wait until its backend runs it; another one follows (C-52). */
  queueTimeout?: DurationText;
  /** How failed attempts are tried again, e.g. `delay=10s factor=2 max=5m memory=2` (C-36; docs/retries-and-limits.md). */
  retryPolicy?: string;
  interruptible?: boolean;
  cache?: CacheOptions;
  resources?: Resources;
  env?: Readonly<Record<string, string>>;
  secrets?: readonly SecretRequest[];
  /** The task adds to its deck (`context.deck`), a page that clients show. */
  deck?: boolean;
  /** Container image; the registration's by default. Local platforms run without one. */
  image?: string;
  description?: string;
  /** Not started any more with this message shown. */
  deprecated?: string;
}

/** A command in an image, whose inputs and outputs are files of its container (C-180). */
export interface ContainerCommand {
  command: readonly string[];
  args: readonly string[];
  inputPath: string;
  outputPath: string;
}

export interface TaskDefinition<I extends Fields, O extends Fields> extends TaskSettings {
  readonly kind: 'task';
  name?: string;
  readonly inputs: I;
  readonly outputs: O;
  /** Absent on references to tasks that live elsewhere. */
  readonly run?: (inputs: Values<I>, context: TaskContext) => Values<O> | Promise<Values<O>>;
  /** Builds a graph from values at run time instead of computing outputs. */
  readonly dynamic?: (inputs: Values<I>) => Graph;
  /** Instead of a function. */
  readonly container?: ContainerCommand;
  readonly reference?: EntityReference;
}

/** Which registered entity a reference means. Project and domain default to those of the registration. */
export interface EntityReference {
  project?: string;
  domain?: string;
  name: string;
  version: string;
}

export interface Task<I extends Fields = Fields, O extends Fields = Fields> {
  (...parameters: CallParameters<I>): Outputs<O>;
  readonly [entityBrand]: TaskDefinition<I, O>;
  /** Runs the function here, with its inputs and outputs checked and passed through their wire form. */
  local(...parameters: LocalParameters<I, LocalOptions>): Promise<Simplify<Values<O>>>;
}

export interface WorkflowSettings {
  /** `fail-immediately` (default) aborts what runs; `finish-executable` lets what does not depend on the failure end (C-60, C-61). */
  onFailure?: 'fail-immediately' | 'finish-executable';
  interruptible?: boolean;
  tags?: Readonly<Record<string, string>>;
  description?: string;
}

export interface WorkflowDefinition<I extends Fields, O extends Fields> extends WorkflowSettings {
  readonly kind: 'workflow';
  name?: string;
  readonly inputs: I;
  readonly outputs: O;
  /** Built on first use. */
  readonly graph: () => Graph;
  /** Workflows are only referred to through their launch plans. */
  readonly reference?: undefined;
}

export interface Workflow<I extends Fields = Fields, O extends Fields = Fields> {
  (...parameters: CallParameters<I>): Outputs<O>;
  readonly [entityBrand]: WorkflowDefinition<I, O>;
  /** Runs the whole graph in this process. */
  local(...parameters: LocalParameters<I, LocalOptions>): Promise<Simplify<Values<O>>>;
}

export type ExecutionPhase = 'SUCCEEDED' | 'FAILED' | 'ABORTED' | 'TIMED_OUT';

export type Notification = { phases: readonly ExecutionPhase[] } & (
  { email: readonly string[] } | { slack: readonly string[] } | { pagerDuty: readonly string[] }
);

export type Schedule = (
  { cron: string; every?: undefined } | { every: { value: number; unit: 'minute' | 'hour' | 'day' }; cron?: undefined }
) & {
  /** Input that gets the time for which the run was started. */
  kickoffTimeInput?: string;
};

export interface LaunchPlanSettings {
  schedule?: Schedule;
  notifications?: readonly Notification[];
  labels?: Readonly<Record<string, string>>;
  annotations?: Readonly<Record<string, string>>;
  env?: Readonly<Record<string, string>>;
  /** Most nodes in flight at once; 0 or absent: the platform's setting. */
  maxParallelism?: number;
  interruptible?: boolean;
  overwriteCache?: boolean;
  /** Prefix for files and other large data, e.g. `s3://bucket/team`. */
  rawOutputPrefix?: string;
  serviceAccount?: string;
  iamRole?: string;
}

export interface LaunchPlanDefinition<I extends Fields, O extends Fields> extends LaunchPlanSettings {
  readonly kind: 'launch-plan';
  name?: string;
  readonly inputs: I;
  readonly outputs: O;
  readonly workflow?: Workflow<Fields, Fields>;
  readonly defaults: Readonly<Record<string, unknown>>;
  readonly fixed: Readonly<Record<string, unknown>>;
  readonly reference?: EntityReference;
}

export interface LaunchPlan<I extends Fields = Fields, O extends Fields = Fields> {
  /** Inside a workflow: a child execution. */
  (...parameters: CallParameters<I>): Outputs<O>;
  readonly [entityBrand]: LaunchPlanDefinition<I, O>;
}

export type Entity = Task<Fields, Fields> | Workflow<Fields, Fields> | LaunchPlan<Fields, Fields>;
export type AnyDefinition =
  TaskDefinition<Fields, Fields> | WorkflowDefinition<Fields, Fields> | LaunchPlanDefinition<Fields, Fields>;

/** How a local run behaves. */
export interface LocalOptions {
  /** Remembers results of cached tasks by their key, as the platform's catalog does; share one between runs. */
  cache?: Map<string, Uint8Array>;
  /** Answers for gates: true or false for approvals, a value for signals. */
  signals?: Readonly<Record<string, unknown>>;
  /** Sees each node when it has ended. */
  onNode?: (event: LocalNodeEvent) => void;
  /** Where files go; default: a temporary folder, which stays for the caller to look at. */
  folder?: string;
  /** Nodes and map items in flight at once; default 4. */
  concurrency?: number;
}

export interface LocalNodeEvent {
  /** Node ids from the top, e.g. `n1/n0`, with `[i]` for a map's item. */
  node: string;
  entity: string;
  outcome: 'succeeded' | 'cached' | 'skipped' | 'failed';
  /** Milliseconds. */
  duration: number;
  error?: Error;
}

export function definitionOf(entity: unknown): AnyDefinition | undefined {
  return typeof entity === 'function' ? (entity as Partial<Entity>)[entityBrand] : undefined;
}
