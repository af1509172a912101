import { WaitReason_Kind } from '@aloft/idl/aloft/v1/bus';
import type { PhaseReport } from '@aloft/backend-kit';
import { failure } from '@aloft/backend-kit';
import { type TaskLog, TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { V1ContainerStatus, V1Pod } from '@kubernetes/client-node';
import type { End, Launch, Sight } from '../kind.js';
import { statusOf, timeOf } from './containers.js';
import {
  type Diagnosis,
  disruptionOf,
  failureOfContainer,
  failureOfPod,
  hindranceOf,
  isOver,
  moreToCome,
  sinceOf,
  titleOf,
} from './diagnosis.js';
import type { PodOptions } from './pod-options.js';
import { usageOf } from './usage.js';

/** Milliseconds that a pod gets beyond its grace period until its node counts as lost. */
const goingMs = 60_000;
/** Milliseconds that the pod's own end may come behind that of its container. */
const settleMs = 10_000;

export interface Watched {
  /** The container that does the task's work. */
  primary: string;
  /** The container that the attempt ends with, where it is another: what brings the outputs away. */
  last: string;
  /** What brings the inputs, where something does. */
  first?: string | undefined;
}

/** What a pod says of its attempt now: the table C-172. Pure. */
export function lookAt(
  pod: V1Pod,
  launch: Launch,
  now: number,
  watched: Watched,
  options: Pick<PodOptions, 'patience'>,
  logs: TaskLog[],
): Sight {
  const primary = statusOf(pod, watched.primary);
  const last = statusOf(pod, watched.last);
  const ended = last?.state?.terminated ?? primary?.state?.terminated;
  const began = timeOf(primary?.state?.running?.startedAt ?? primary?.state?.terminated?.startedAt);
  const endOf = (verdict: Diagnosis | undefined): Sight => {
    const at = timeOf(ended?.finishedAt) ?? now;
    const usage = usageOf(pod, began ?? at, at);
    const end: End = verdict ? { ...verdict, usage, at: new Date(at) } : { how: 'well', usage, at: new Date(at) };
    return { end, report: { phase: Phase.RUNNING, logs } };
  };
  const first = watched.first === undefined ? undefined : statusOf(pod, watched.first);
  for (const status of [first, primary, last]) {
    if (!status?.state?.terminated) continue;
    const ours = status !== primary && watched.last !== watched.primary;
    const verdict = ours ? transferFailure(pod, status) : failureOfContainer(pod, status);
    if (!verdict) continue;
    // Whether it was killed for a reason of the node's is often told a moment later.
    const settledAt = (timeOf(status.state.terminated.finishedAt) ?? now) + settleMs;
    if (verdict.how === 'badly' && moreToCome(pod) && now < settledAt) return { lookAgainAt: settledAt };
    return endOf(verdict);
  }
  if (last?.state?.terminated) return endOf(undefined);
  if (isOver(pod)) return endOf(failureOfPod(pod, watched.primary));
  return goesOn(pod, launch, now, began, options, logs, endOf);
}

function goesOn(
  pod: V1Pod,
  launch: Launch,
  now: number,
  began: number | undefined,
  { patience }: Pick<PodOptions, 'patience'>,
  logs: TaskLog[],
  endOf: (verdict: Diagnosis) => Sight,
): Sight {
  const deleted = timeOf(pod.metadata?.deletionTimestamp);
  if (deleted !== undefined) {
    // Nothing of it runs before it has a node.
    const lostAt = pod.spec?.nodeName ? deleted + goingMs : deleted;
    if (now < lostAt) return { lookAgainAt: lostAt };
    return endOf({ how: 'badly', failure: disruptionOf(pod) ?? deletedAndGone(pod) });
  }
  if (began !== undefined) return running(pod, launch, now, began, logs, endOf);
  const hindrance = hindranceOf(pod, patience);
  if (hindrance) {
    const overAt = sinceOf(pod) + hindrance.patienceMs;
    if (hindrance.patienceMs === 0 || now >= overAt) return endOf({ how: 'cut short', failure: hindrance.failure });
    const { reason, image } = hindrance;
    const waitsFor = image ? { waitsFor: WaitReason_Kind.IMAGE } : {};
    return { report: { phase: Phase.INITIALIZING, reason, ...waitsFor }, lookAgainAt: overAt };
  }
  return pending(pod, now, patience.pendingMs, endOf);
}

function running(
  pod: V1Pod,
  launch: Launch,
  now: number,
  began: number,
  logs: TaskLog[],
  endOf: (verdict: Diagnosis) => Sight,
): Sight {
  const report: PhaseReport = { phase: Phase.RUNNING, logs, occurredAt: new Date(began) };
  const limit = launch.executionTimeout;
  if (!limit) return { report };
  const overAt = began + Number(limit.seconds) * 1000 + limit.nanos / 1e6;
  if (now < overAt) return { report, lookAgainAt: overAt };
  const message = `${titleOf(pod)} ran for longer than its limit of ${(overAt - began) / 1000} s.`;
  return endOf({
    how: 'cut short',
    failure: failure({ code: 'TimeoutExpired', message, kind: 'USER', retryable: true }),
  });
}

function pending(pod: V1Pod, now: number, pendingMs: number, endOf: (verdict: Diagnosis) => Sight): Sight {
  const createdAt = timeOf(pod.metadata?.creationTimestamp) ?? now;
  const overAt = pendingMs > 0 ? createdAt + pendingMs : undefined;
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  const why = scheduled?.status === 'False' ? `${scheduled.reason}: ${scheduled.message}` : '';
  if (overAt !== undefined && now >= overAt) {
    const message = `${titleOf(pod)} did not begin within ${pendingMs / 1000} s. ${why}`.trim();
    return endOf({
      how: 'cut short',
      failure: failure({ code: 'PendingTimeout', message, kind: 'SYSTEM', retryable: true }),
    });
  }
  const again = overAt === undefined ? {} : { lookAgainAt: overAt };
  if (why === '') return { report: { phase: Phase.INITIALIZING }, ...again };
  const waitsFor = scheduled?.reason === 'SchedulingGated' ? WaitReason_Kind.QUOTA : WaitReason_Kind.CAPACITY;
  return { report: { phase: Phase.WAITING_FOR_RESOURCES, reason: why, waitsFor }, ...again };
}

/** What brings data to a raw container and away is ours: its failures are the system's, unless it wrote down whose they are. */
function transferFailure(pod: V1Pod, status: V1ContainerStatus): Diagnosis | undefined {
  const verdict = failureOfContainer(pod, status);
  const message = status.state?.terminated?.message?.trim() ?? '';
  if (!verdict || verdict.failure.phase !== Phase.RETRYABLE_FAILED || status.state?.terminated?.reason === 'OOMKilled')
    return verdict;
  const text = `The data of the task could not be brought (${status.name}): ${message || verdict.failure.reason}`;
  return {
    how: 'badly',
    failure: failure({ code: 'DataTransferFailed', message: text, kind: 'SYSTEM', retryable: true }),
  };
}

function deletedAndGone(pod: V1Pod) {
  return failure({
    code: 'Interrupted',
    message: `${titleOf(pod)} was deleted by something outside the platform${pod.spec?.nodeName ? ', and its node has not confirmed its end' : ' before it had a node'}.`,
    kind: 'SYSTEM',
    retryable: true,
  });
}
