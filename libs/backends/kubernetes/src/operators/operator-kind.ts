import { failure, type PhaseReport, timestampOf } from '@aloft/backend-kit';
import { TaskUsage, type LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { type TaskLog, TaskExecution_Phase as Phase, TaskLog_MessageFormat } from '@aloft/idl/flyteidl/core/execution';
import { attemptLabels } from '../driver/identity.js';
import type { ClusterObject, Resource } from '../cluster/resource.js';
import type { End, Launch, ObjectKind, Place, Sight } from '../kind.js';
import { timeOf } from '../pod/containers.js';
import { podLogs } from '../pod/pod-kind.js';
import { annotationOf, boundRoles, impossible, withChanges, type BoundObject } from '../pod/bound-object.js';
import { boundsOf } from '../pod/bounds.js';
import type { PodOptions } from '../pod/pod-options.js';

/** What an operator says of a job, in words that all of them share. */
export interface JobState {
  phase: 'waiting' | 'starting' | 'running' | 'succeeded' | 'failed' | 'broken';
  /** Why: of `failed`, that is the user's, of `broken` the system's (what was asked for could not even be begun). */
  message?: string | undefined;
  startedAt?: string | undefined;
  endedAt?: string | undefined;
  links?: { name: string; uri: string }[];
  /** The pod with the output of the task itself. */
  pod?: { name: string; container: string };
}

/** What differs between operators. Pure. */
export interface Operator {
  /** Task types that become its objects. */
  types: readonly string[];
  resource: Resource;
  /** As in `ObjectKind`. */
  distributed?: boolean;
  /** What is wrong with the task's own configuration. */
  refuse?(launch: LaunchTask): string | undefined;
  /** `name`: the object's. */
  spec(launch: Launch, options: PodOptions, name: string): object;
  state(status: Record<string, unknown>): JobState;
}

/** An operator's object for each attempt (C-181…C-184): the operator makes the pods, its status is the attempt's. */
export class OperatorKind implements ObjectKind {
  readonly resource: Resource;
  readonly distributed: boolean;

  constructor(
    private readonly operator: Operator,
    private readonly options: PodOptions,
  ) {
    this.resource = operator.resource;
    this.distributed = operator.distributed ?? false;
  }

  takes({ template }: LaunchTask): boolean {
    return this.operator.types.includes(template?.type ?? '');
  }

  refuse(launch: LaunchTask): string | undefined {
    if (launch.template?.target?.$case !== 'container')
      return `Tasks of type "${launch.template?.type}" need a container, from which the pods of the ${this.resource.kind} are made.`;
    return this.operator.refuse?.(launch) ?? impossible(() => this.within(launch as Launch, ''));
  }

  async build(launch: Launch, { name }: Place): Promise<ClusterObject> {
    const { labels, annotations } = launch;
    const { object: spec, changes } = this.within(launch, name);
    return {
      metadata: {
        labels: { ...this.options.labels, ...labels },
        annotations: { ...this.options.annotations, ...annotations, ...annotationOf(changes) },
      },
      spec,
    };
  }

  /** The operator's object, none of whose containers has more than it may. What all roles begin with is bounded already (S-27). */
  private within(launch: Launch, name: string): BoundObject<object> {
    const labels = { ...launch.labels, ...attemptLabels(launch.attempt) };
    const spec = this.operator.spec({ ...launch, labels, resourceBounds: undefined }, this.options, name);
    return boundRoles(spec, boundsOf(launch, this.options.gpu.resource));
  }

  look(object: ClusterObject, launch: Launch, now: number): Sight {
    return withChanges(object, this.sightOf(object, launch, now));
  }

  private sightOf(object: ClusterObject, launch: Launch, now: number): Sight {
    const state = this.stateOf(object);
    const logs = [...this.podLinks(state, object, launch), ...(state.links ?? []).map(linkOf)];
    const began = timeOf(state.startedAt) ?? timeOf(object.metadata?.creationTimestamp) ?? now;
    const endedAt = timeOf(state.endedAt) ?? now;
    const usage = timesOnly(began, endedAt);
    const end = (verdict: End): Sight => ({ end: verdict, report: { phase: Phase.RUNNING, logs } });
    const about = { usage, at: new Date(endedAt) };
    if (state.phase === 'succeeded') return end({ how: 'well', ...about });
    if (state.phase === 'failed' || state.phase === 'broken') {
      const kind = state.phase === 'failed' ? ('USER' as const) : ('SYSTEM' as const);
      const message = `The ${this.resource.kind} ${object.metadata?.namespace}/${object.metadata?.name} failed: ${state.message || 'its operator does not say why'}`;
      const code = `${this.resource.kind}${state.phase === 'failed' ? 'Failed' : 'NotStarted'}`;
      return end({ how: 'badly', failure: failure({ code, message, kind, retryable: true }), ...about });
    }
    return this.goesOn(state, launch, now, began, logs, end, about);
  }

  /** Where the cluster's logs are (C-176). */
  private podLinks({ pod, startedAt }: JobState, { metadata }: ClusterObject, launch: Launch): TaskLog[] {
    if (!pod) return [];
    const at = { name: pod.name, ...(metadata?.namespace ? { namespace: metadata.namespace } : {}) };
    const startTime = timeOf(startedAt);
    const status = startTime === undefined ? {} : { startTime: new Date(startTime) };
    return podLogs({ metadata: at, status }, launch, pod.container, this.options.logs);
  }

  private goesOn(
    state: JobState,
    launch: Launch,
    now: number,
    began: number,
    logs: TaskLog[],
    end: (verdict: End) => Sight,
    about: { usage: End['usage']; at: Date },
  ): Sight {
    const phases = { waiting: Phase.WAITING_FOR_RESOURCES, starting: Phase.INITIALIZING, running: Phase.RUNNING };
    const phase = phases[state.phase as keyof typeof phases];
    const report: PhaseReport = {
      phase,
      ...(state.message ? { reason: state.message } : {}),
      ...(logs.length > 0 ? { logs } : {}),
    };
    const limit = launch.executionTimeout;
    if (!limit || phase !== Phase.RUNNING) return { report };
    const overAt = began + Number(limit.seconds) * 1000 + limit.nanos / 1e6;
    if (now < overAt) return { report, lookAgainAt: overAt };
    const message = `The ${this.resource.kind} ran for longer than its limit of ${(overAt - began) / 1000} s.`;
    return end({
      how: 'cut short',
      failure: failure({ code: 'TimeoutExpired', message, kind: 'USER', retryable: true }),
      ...about,
    });
  }

  useUntil(object: ClusterObject, _launch: Launch, at: number): TaskUsage | undefined {
    const { startedAt, phase } = this.stateOf(object);
    const began = timeOf(startedAt) ?? timeOf(object.metadata?.creationTimestamp);
    return phase === 'running' && began !== undefined ? timesOnly(began, at) : undefined;
  }

  slim({ apiVersion, kind, metadata, status }: ClusterObject): ClusterObject {
    const { managedFields: _, ...rest } = metadata ?? {};
    return {
      ...(apiVersion ? { apiVersion } : {}),
      ...(kind ? { kind } : {}),
      metadata: rest,
      status: status ?? {},
    };
  }

  endedWell(object: ClusterObject): boolean {
    return this.stateOf(object).phase === 'succeeded';
  }

  lingers(object: ClusterObject): boolean {
    return !['succeeded', 'failed'].includes(this.stateOf(object).phase);
  }

  private stateOf({ status }: ClusterObject): JobState {
    return this.operator.state((status ?? {}) as Record<string, unknown>);
  }
}

const timesOnly = (began: number, ended: number): TaskUsage =>
  TaskUsage.fromPartial({ startedAt: timestampOf(new Date(began)), endedAt: timestampOf(new Date(ended)) });

function linkOf({ name, uri }: { name: string; uri: string }): TaskLog {
  const messageFormat = TaskLog_MessageFormat.UNKNOWN;
  return { name, uri, messageFormat, ttl: undefined, ShowWhilePending: false, HideOnceFinished: false };
}
