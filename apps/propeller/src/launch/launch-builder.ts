import { invalidArgument, toAloftError } from '@aloft/errors';
import {
  askedFor,
  checkpointPrefix,
  inputsFile,
  rawOutputPrefix,
  routeOf,
  type AbortTaskEffect,
  type LaunchTaskEffect,
} from '@aloft/engine';
import {
  LaunchTask,
  type ExecutionSettings,
  type LiteralsValue,
  type Placement,
  type ResourceBounds,
} from '@aloft/idl/aloft/v1/bus';
import type { Route, Routing } from '@aloft/idl/aloft/v1/routing';
import type { PluginOverride } from '@aloft/idl/flyteidl/admin/matchable_resource';
import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import type { KeyValuePair, LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import type { SecurityContext } from '@aloft/idl/flyteidl/core/security';
import {
  RuntimeMetadata_RuntimeType,
  type Container,
  type Resources,
  type TaskTemplate,
} from '@aloft/idl/flyteidl/core/tasks';
import type { BinaryWriter } from '@aloft/idl/wire';
import { inputsInTemplate, perRetryUniqueKey, renderTemplate, type TemplateValues } from '@aloft/literals';
import { isSampled, type TraceContext } from '@aloft/telemetry';
import { attemptEnvironment, staticEnvironment, traceEnvironment } from './environment.js';
import { labelValue, launchLabels } from './labels.js';
import { refuseLegacyMap } from './legacy-maps.js';
import { boundsOf } from './resource-bounds.js';
import { identified, placed, withPodTemplate } from './rule-choice.js';

export interface LaunchSettings {
  /** Backends that have hosts, where that is known: hosts of others may be elsewhere. */
  hosts?: (() => readonly string[]) | undefined;
  /** As of now: what runs from before routing was recorded with them are routed by, without its rules. */
  routing: () => Routing;
  /** Environment that every task gets unless something nearer sets it. */
  defaultEnvs: readonly KeyValuePair[];
  /** Address of the console, e.g. `http://localhost:8088/console`; empty = tasks get no link to their run. */
  consoleUrl: string;
  /** What tells a task to store large outputs apart (C-105); empty when that is off. */
  offloadEnvs: readonly KeyValuePair[];
  /** `{{ project }}-{{ domain }}` by default (C-165). */
  namespaceTemplate: string;
}

/** What is the same for every attempt and item of one task in one workflow of one run. */
interface StaticPart {
  /** As it is launched, but for placeholders. */
  template: TaskTemplate;
  workflow: Identifier;
  interruptible: boolean;
  memoryFactor: number;
  backend: string;
  route: Route | undefined;
  placement: Placement | undefined;
  resources: Resources;
  resourceBounds: ResourceBounds | undefined;
  env: KeyValuePair[];
  envHasPlaceholders: boolean;
  securityContext: SecurityContext | undefined;
  labels: Record<string, string>;
  namespace: string;
  containerHasPlaceholders: boolean;
  asksForTemplate: boolean;
  /** Its fields of a LaunchTask, encoded: half of each launch's bytes. */
  encoded: Uint8Array;
}

export interface BuiltLaunch {
  backend: string;
  launch: LaunchTask;
  /** What {@link launch} encodes to; given, since most of it is at hand already. */
  encode(writer: BinaryWriter): void;
  /** Where `task.pb` has to be written before the launch leaves, when an argument asks for its path. */
  taskTemplateUri: string | undefined;
}

/** Launches of one propeller: pure but for a memory of the parts that repeat. */
export class LaunchBuilder {
  /** By the settings of a run, of which there is one object a run. */
  private readonly statics = new WeakMap<ExecutionSettings, WeakMap<TaskTemplate, StaticPart>>();

  constructor(private readonly settings: LaunchSettings) {}

  /** What a run that begins now goes by. */
  routing(): Routing {
    return this.settings.routing();
  }

  /** Backend that has an attempt which is to end; unlike {@link build} never refuses, since an abort has to go somewhere. */
  backendOfAbort({ routed, taskType }: AbortTaskEffect, overrides: readonly PluginOverride[]): string {
    if (routed?.route) return routed.route.backend;
    try {
      return this.unrecorded(taskType, overrides);
    } catch {
      return this.settings.routing().defaultBackend;
    }
  }

  /** Why the attempt has no place now, since nothing serves its backend; undefined if something does, or may. */
  unserved({ routed }: LaunchTaskEffect): string | undefined {
    const hosts = this.settings.hosts?.();
    const backend = routed?.route?.backend;
    if (!hosts || backend === undefined || hosts.includes(backend)) return undefined;
    const there = hosts.length > 0 ? `there are hosts of ${hosts.join(', ')}` : 'there is none of any backend';
    return `No host of the backend "${backend}" is configured (${there}): configure it, or route the task elsewhere.`;
  }

  /** Whether an argument inlines an input's value: stored inputs have to be loaded before {@link build} then. */
  needsInputValues(template: TaskTemplate): boolean {
    return inputsInTemplate(textsOf(template)).size > 0;
  }

  /**
   * The message for an effect (C-100, C-101, C-106, C-107, C-109, C-164, S-27). `inputs` are the values when
   * {@link needsInputValues}. INVALID_ARGUMENT or FAILED_PRECONDITION when the task cannot be launched as it stands.
   * `trace`: told to the process where it is sampled.
   */
  build(effect: LaunchTaskEffect, inputs: LiteralMap | undefined, trace?: TraceContext): BuiltLaunch {
    const fixed = this.staticPart(effect);
    const { attempt, settings } = effect;
    const { template } = fixed;
    requireOffloadSupport(template, effect.inputs);
    // Names of runs repeat over projects and time: the immutable id keeps their raw data apart.
    const rawPrefix = rawOutputPrefix(settings.rawOutputPrefix, `${attempt.name}-${attempt.executionUid.slice(0, 8)}`);
    const checkpoints = checkpointPrefix(rawPrefix);
    const values: TemplateValues = {
      input: inputsFile(effect.dataPrefix),
      inputPrefix: effect.dataPrefix,
      outputPrefix: effect.outputPrefix,
      rawOutputDataPrefix: rawPrefix,
      checkpointOutputPrefix: checkpoints,
      prevCheckpointPrefix: effect.prevCheckpointPrefix,
      perRetryUniqueKey: perRetryUniqueKey(attempt.name),
      taskTemplatePath: `${effect.outputPrefix}/task.pb`,
      namespace: fixed.namespace,
      inputs,
    };
    const rendered = fixed.envHasPlaceholders
      ? fixed.env.map(({ key, value }) => ({ key, value: renderText(value, values) }))
      : undefined;
    const filledTemplate = fixed.containerHasPlaceholders ? filled(template, values) : undefined;
    const ownEnv = [...attemptEnvironment(attempt), ...(trace && isSampled(trace) ? traceEnvironment(trace) : [])];
    const ownLabels = { 'node-id': labelValue(attempt.nodeId) };
    const own: LaunchTask = {
      attempt,
      template: filledTemplate,
      inputs: effect.inputs,
      inputsUri: values.input,
      outputPrefix: effect.outputPrefix,
      rawOutputPrefix: rawPrefix,
      checkpointPrefix: checkpoints,
      prevCheckpointPrefix: effect.prevCheckpointPrefix,
      resources: undefined,
      env: rendered ? [...rendered, ...ownEnv] : ownEnv,
      securityContext: undefined,
      labels: ownLabels,
      annotations: {},
      interruptible: effect.interruptible,
      executionTimeout: effect.executionTimeout,
      workflow: effect.workflow,
      arraySize: effect.arraySize ?? 0,
      placement: undefined,
      route: undefined,
      resourceBounds: undefined,
      dependsOn: [...(effect.dependsOn ?? [])],
      podOverrides: effect.overrides,
    };
    const launch: LaunchTask = {
      ...own,
      template: filledTemplate ?? template,
      resources: fixed.resources,
      env: rendered ? own.env : [...fixed.env, ...ownEnv],
      securityContext: fixed.securityContext,
      labels: { ...fixed.labels, ...ownLabels },
      annotations: settings.annotations,
      placement: fixed.placement,
      route: fixed.route,
      resourceBounds: fixed.resourceBounds,
    };
    return {
      backend: fixed.backend,
      launch,
      encode: (writer) => void LaunchTask.encode(own, writer.raw(fixed.encoded)),
      taskTemplateUri: fixed.asksForTemplate ? values.taskTemplatePath : undefined,
    };
  }

  private staticPart(effect: LaunchTaskEffect): StaticPart {
    const { template, settings, attempt, interruptible, memoryFactor } = effect;
    let ofRun = this.statics.get(settings);
    if (!ofRun) this.statics.set(settings, (ofRun = new WeakMap()));
    const known = ofRun.get(template);
    if (
      known?.interruptible === interruptible &&
      known.memoryFactor === memoryFactor &&
      sameName(known.workflow, effect.workflow)
    )
      return known;
    const container = template.target?.$case === 'container' ? template.target.value : undefined;
    const env = staticEnvironment(attempt, {
      workflow: effect.workflow,
      task: attempt.task ?? template.id,
      runEnvs: settings.envs,
      taskEnvs: container?.env ?? [],
      defaultEnvs: [...this.settings.offloadEnvs, ...this.settings.defaultEnvs],
      executionUrl: this.executionUrl(effect),
    });
    const texts = textsOf(template);
    const route = this.routeOf(effect);
    refuseLegacyMap(template, route);
    const placement = placed(settings.placement, route?.choice);
    const launched = withPodTemplate(template, route?.choice);
    const part: Omit<StaticPart, 'encoded'> = {
      template: launched,
      workflow: effect.workflow,
      interruptible,
      memoryFactor,
      backend: route?.backend ?? this.unrecorded(template.type, settings.pluginOverrides),
      route: route && { ...route, resources: undefined },
      placement,
      // A pod's own resources are in its definition; what becomes of them its backend finds out.
      resources: container ? askedFor(template, settings, memoryFactor) : { requests: [], limits: [] },
      resourceBounds: boundsOf(settings, memoryFactor),
      env,
      envHasPlaceholders: env.some(({ value }) => value.includes('{{')),
      securityContext: identified(
        mergedSecurityContext(settings.securityContext, template.securityContext),
        route?.choice,
      ),
      labels: launchLabels(attempt, effect.workflow, interruptible, settings.labels),
      namespace: this.settings.namespaceTemplate
        .replace(/\{\{\s*project\s*\}\}/g, attempt.execution?.project ?? '')
        .replace(/\{\{\s*domain\s*\}\}/g, attempt.execution?.domain ?? ''),
      containerHasPlaceholders: texts.some((text) => text.includes('{{')),
      asksForTemplate: texts.some((text) => /\{\{\s*[.$]taskTemplatePath\s*\}\}/i.test(text)),
    };
    const encoded = LaunchTask.encode(
      LaunchTask.fromPartial({
        template: part.containerHasPlaceholders ? undefined : launched,
        resources: part.resources,
        env: part.envHasPlaceholders ? [] : env,
        securityContext: part.securityContext,
        labels: part.labels,
        annotations: settings.annotations,
        placement,
        route: part.route,
        resourceBounds: part.resourceBounds,
      }),
    ).finish();
    const whole = { ...part, encoded };
    ofRun.set(template, whole);
    return whole;
  }

  private unrecorded(taskType: string, overrides: readonly PluginOverride[]): string {
    return routeOf({ ...this.settings.routing(), rules: [] }, typeAlone(taskType), overrides).backend;
  }

  /** @throws what its run's routing says against it. */
  private routeOf({ routed }: LaunchTaskEffect): Route | undefined {
    if (routed?.refused) throw routed.refused;
    return routed?.route;
  }

  /** Only a task that makes decks or asks for links gets it, as in Flyte (C-107). */
  private executionUrl({ attempt, template }: LaunchTaskEffect): string | undefined {
    const id = attempt.execution;
    const asks = template.metadata?.generatesDeck === true || template.config['link_type'] !== undefined;
    if (this.settings.consoleUrl === '' || !id || !asks) return undefined;
    return `${this.settings.consoleUrl}/projects/${id.project}/domains/${id.domain}/executions/${id.name}`;
  }
}

/** Rules ask for the rest, and these are no rules' attempts. */
const typeAlone = (taskType: string) => ({
  ...{ taskType, task: '', workflow: '', project: '', domain: '', labels: {}, interruptible: false },
  asks: { cpu: 0n, memory: 0n, gpu: 0n },
});

const sameName = (a: Identifier, b: Identifier): boolean =>
  a === b || (a.name === b.name && a.project === b.project && a.domain === b.domain);

/** The first flytekit that reads offloaded literals (C-105). */
const offloadingSdk = [1, 13, 14] as const;

/** C-105: an input that lies elsewhere is of no use to a flytekit that doesn't know of such. INVALID_ARGUMENT says so. */
function requireOffloadSupport({ id, metadata }: TaskTemplate, inputs: LiteralsValue): void {
  const runtime = metadata?.runtime;
  if (inputs.value?.$case !== 'inline' || runtime?.type !== RuntimeMetadata_RuntimeType.FLYTE_SDK) return;
  const { literals } = inputs.value.value;
  const offloaded = Object.keys(literals).find((name) => literals[name]!.value?.$case === 'offloadedMetadata');
  if (offloaded === undefined || !isBefore(runtime.version, offloadingSdk)) return;
  throw invalidArgument(
    `input ${offloaded} is stored apart from the others, which flytekit ${runtime.version} of task ${id?.name ?? ''} can't read; ` +
      `register the task with flytekit ${offloadingSdk.join('.')} or later`,
  );
}

/** False for what is no release, such as a development version. */
function isBefore(version: string, first: readonly number[]): boolean {
  const parts = /^(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number);
  if (!parts || parts.every((part) => part === 0)) return false;
  const at = parts.findIndex((part, i) => part !== first[i]);
  return at >= 0 && parts[at]! < first[at]!;
}

/** A launch that cannot be made, as the error of the attempt: the user's, since the task or its settings are wrong. */
export function launchError(thrown: unknown): { code: string; message: string } {
  const error = toAloftError(thrown);
  return {
    code: error.code === 'FAILED_PRECONDITION' ? 'PluginNotFound' : 'BadTaskSpecification',
    message: error.message,
  };
}

const renderText = (text: string, values: TemplateValues): string => renderTemplate([text], values)[0]!;

function filled(template: TaskTemplate, values: TemplateValues): TaskTemplate {
  const { target } = template;
  if (target?.$case === 'container') {
    const container: Container = {
      ...target.value,
      command: target.value.command.map((text) => renderText(text, values)),
      args: target.value.args.map((text) => renderText(text, values)),
      env: target.value.env.map(({ key, value }) => ({ key, value: renderText(value, values) })),
    };
    return { ...template, target: { $case: 'container', value: container } };
  }
  if (target?.$case === 'sql') {
    return {
      ...template,
      target: { $case: 'sql', value: { ...target.value, statement: renderText(target.value.statement, values) } },
    };
  }
  if (target?.$case === 'k8sPod') {
    const podSpec = mapTexts(target.value.podSpec, (text) => renderText(text, values));
    return { ...template, target: { $case: 'k8sPod', value: { ...target.value, podSpec } } };
  }
  return template;
}

/** Every text of a template in which placeholders are filled. */
function textsOf({ target }: TaskTemplate): string[] {
  if (target?.$case === 'container') {
    return [...target.value.command, ...target.value.args, ...target.value.env.map(({ value }) => value)];
  }
  if (target?.$case === 'sql') return [target.value.statement];
  if (target?.$case !== 'k8sPod') return [];
  const texts: string[] = [];
  mapTexts(target.value.podSpec, (text) => {
    texts.push(text);
    return text;
  });
  return texts;
}

function mapTexts<T>(value: T, change: (text: string) => string): T {
  if (typeof value === 'string') return change(value) as T;
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, change)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapTexts(item, change)])) as T;
}

/** The identity is the run's; secrets and tokens are those that the task asks for besides the run's own. */
function mergedSecurityContext(
  run: SecurityContext | undefined,
  task: SecurityContext | undefined,
): SecurityContext | undefined {
  if (!run || !task) return run ?? task;
  return {
    runAs: run.runAs ?? task.runAs,
    secrets: [...task.secrets, ...run.secrets],
    tokens: [...task.tokens, ...run.tokens],
  };
}
