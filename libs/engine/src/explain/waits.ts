import { WaitReason, WaitReason_Kind as Kind, type TaskReport } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { GateNode } from '@aloft/idl/flyteidl/core/workflow';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import type { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';

/** The reasons of U-12 as events and explanations tell them: complete sentences for people, the parts of them for programs. */

export function waitOf(
  work: NodeWork,
  kind: Kind,
  detail: string,
  since: Timestamp,
  more: Partial<WaitReason> = {},
): WaitReason {
  return { ...WaitReason.create(), nodeId: work.id, kind, detail, since, ...more };
}

/** C-70. The place in the line is only known to who asks: it changes while the node waits. */
export function parkedWait(run: RunState, work: NodeWork): WaitReason {
  const limit = run.settings.maxParallelism;
  return waitOf(work, Kind.PARALLELISM, `waiting for one of the run's ${limit} parallel nodes`, work.since, { limit });
}

/** C-98 Ours: whoever waits is told for whom. */
export function reservationWait(work: NodeWork, since: Timestamp, until: Timestamp | undefined): WaitReason {
  const holder = work.reservationHolder;
  const detail = `waiting for the cache reservation held by ${holder}`;
  return waitOf(work, Kind.RESERVATION, detail, since, { holder, until });
}

export function conditionOf(work: NodeWork): GateNode['condition'] {
  const target = work.scope.template.spec(work.node).target;
  return target?.$case === 'gateNode' ? target.value.condition : undefined;
}

/** C-130…C-132. */
export function gateWait(work: NodeWork, since: Timestamp, until: Timestamp | undefined): WaitReason {
  const condition = conditionOf(work);
  if (!condition || condition.$case === 'sleep') return waitOf(work, Kind.GATE, 'sleeping', since, { until });
  const { signalId } = condition.value;
  const what = condition.$case === 'approve' ? 'approval' : 'signal';
  return waitOf(work, Kind.GATE, `waiting for ${what} "${signalId}"`, since, { signalId });
}

/** C-13. */
export function childWait(work: NodeWork): WaitReason {
  const { child } = work;
  return waitOf(work, Kind.CHILD, `waiting for child execution ${child?.name ?? ''}`, work.since, { child });
}

/** Until its backend says anything. */
export function handedOverWait(work: NodeWork): WaitReason {
  return waitOf(work, Kind.CAPACITY, 'handed to its backend, which has not said what it waits for', work.since);
}

/** What a phase before RUNNING means, unless the backend says it itself. */
export function kindOfReport({ phase, reason, waitsFor }: TaskReport): Kind {
  switch (phase) {
    case Phase.WAITING_FOR_RESOURCES:
      return waitsFor || Kind.CAPACITY;
    case Phase.QUEUED:
      return waitsFor || (reason === '' ? Kind.NONE : Kind.CAPACITY);
    case Phase.INITIALIZING:
      // Without a reason it is just being started.
      return waitsFor || (reason === '' ? Kind.NONE : Kind.IMAGE);
    default:
      return Kind.NONE;
  }
}

/** What a backend's report says that the attempt waits for; undefined if it doesn't wait. */
export function reportedWait(run: RunState, work: NodeWork, report: TaskReport): WaitReason | undefined {
  const kind = kindOfReport(report);
  if (kind === Kind.NONE) return undefined;
  const before = work.waiting;
  // Told again, with more to say: it waits since the first time.
  const since = before?.kind === kind ? (before.since ?? run.now) : run.now;
  return waitOf(work, kind, report.reason || plainWords[kind], since, { backend: report.backend });
}

const plainWords: Record<Kind, string> = {
  [Kind.NONE]: '',
  [Kind.DEPENDENCY]: 'waiting for what it depends on',
  [Kind.PARALLELISM]: 'waiting for its turn',
  [Kind.RESERVATION]: 'waiting for a reservation',
  [Kind.LIMIT]: 'waiting for a limit of its backend',
  [Kind.QUOTA]: "waiting for its project's quota",
  [Kind.CAPACITY]: 'waiting for room at its backend',
  [Kind.BACKOFF]: 'waiting for the next try',
  [Kind.GATE]: 'waiting for a decision',
  [Kind.IMAGE]: 'its container image is being fetched',
  [Kind.CHILD]: 'waiting for a child',
  [Kind.OVERLAP]: 'waiting for an earlier run',
  [Kind.UNRECOGNIZED]: 'waiting',
};
