import { failure } from '@aloft/backend-kit';
import type { V1ContainerState, V1ContainerStatus, V1Pod } from '@kubernetes/client-node';
import type { Failure } from '../kind.js';
import { anyRuns, statusesOf, timeOf } from './containers.js';
import type { PodOptions } from './pod-options.js';

/** Why a pod ended, or never will begin (C-172). Pure. `badly`: unless the task wrote an error itself; `cut short`: whatever it wrote. */
export type Diagnosis = { how: 'badly' | 'cut short'; failure: Failure };

type Terminated = NonNullable<V1ContainerState['terminated']>;

const system = (code: string, message: string): Failure => failure({ code, message, kind: 'SYSTEM', retryable: true });
const user = (code: string, message: string, retryable: boolean): Failure =>
  failure({ code, message, kind: 'USER', retryable });

/** What something outside the pod did to it: reasons of pods and of their condition DisruptionTarget. */
const disruptions: Readonly<Record<string, { code: string; text: string }>> = {
  Evicted: { code: 'Evicted', text: 'was evicted from its node' },
  EvictionByEvictionAPI: { code: 'Evicted', text: 'was evicted' },
  TerminationByKubelet: { code: 'Evicted', text: 'was ended by its node' },
  Preempting: { code: 'Preempted', text: 'made way for a more urgent pod' },
  Preempted: { code: 'Preempted', text: 'made way for a more urgent pod' },
  PreemptionByScheduler: { code: 'Preempted', text: 'made way for a more urgent pod' },
  DeletionByTaintManager: { code: 'NodeLost', text: 'was ended because its node cannot be reached or is going away' },
  DeletionByPodGC: { code: 'NodeLost', text: 'was ended because its node is gone' },
  NodeLost: { code: 'NodeLost', text: 'was lost with its node' },
  NodeShutdown: { code: 'NodeShutdown', text: 'was ended because its node shuts down' },
  Shutdown: { code: 'NodeShutdown', text: 'was ended because its node shuts down' },
  Terminated: { code: 'NodeShutdown', text: 'was ended because its node shuts down' },
};

export function disruptionOf(pod: V1Pod): Failure | undefined {
  const condition = pod.status?.conditions?.find(
    ({ type, status }) => type === 'DisruptionTarget' && status === 'True',
  );
  for (const [reason, message] of [
    [pod.status?.reason, pod.status?.message],
    [condition?.reason, condition?.message],
  ]) {
    const known = reason === undefined ? undefined : disruptions[reason];
    if (known) return system(known.code, `${titleOf(pod)} ${known.text} (${reason}${message ? `: ${message}` : ''}).`);
  }
  return undefined;
}

/** Why this container's end is no success. `undefined`: it is one. */
export function failureOfContainer(pod: V1Pod, { name, state }: V1ContainerStatus): Diagnosis | undefined {
  const ended = state?.terminated as Terminated;
  const { exitCode, reason, signal } = ended;
  if (reason === 'OOMKilled')
    return {
      how: 'cut short',
      failure: user(
        'OOMKilled',
        `The container "${name}" of ${titleOf(pod)} ran out of memory. Ask for more memory, or use less.`,
        true,
      ),
    };
  if (pod.status?.reason === 'DeadlineExceeded')
    return { how: 'cut short', failure: user('TimeoutExpired', `${titleOf(pod)} ran over its time limit.`, true) };
  if (exitCode === 0) return undefined;
  const disruption = disruptionOf(pod);
  if (disruption) return { how: 'badly', failure: disruption };
  if (reason === 'StartError' || reason === 'ContainerCannotRun')
    return {
      how: 'badly',
      failure: user('ContainerCannotRun', `The container "${name}" cannot be started: ${ended.message}`, false),
    };
  if (pod.metadata?.deletionTimestamp || exitCode === 137 || exitCode === 247 || signal === 9)
    return {
      how: 'badly',
      failure: system(
        'Interrupted',
        pod.metadata?.deletionTimestamp
          ? `${titleOf(pod)} was deleted by something outside the platform; its container exited with code ${exitCode}.`
          : `The container "${name}" was killed (SIGKILL, exit code ${exitCode}) by something outside the platform.`,
      ),
    };
  const tail = ended.message?.trim();
  return {
    how: 'badly',
    failure: user(
      'ExitCode',
      `The container "${name}" exited with code ${exitCode} and wrote no error.pb.${tail ? ` Its last output:\n${tail}` : ''}`,
      true,
    ),
  };
}

/** A pod that is over although its container's end is not known, or that never had one. */
export function failureOfPod(pod: V1Pod, primary: string): Diagnosis {
  const { reason, message, phase } = pod.status ?? {};
  if (reason === 'DeadlineExceeded')
    return {
      how: 'cut short',
      failure: user('TimeoutExpired', `${titleOf(pod)} ran over its time limit: ${message}`, true),
    };
  const disruption = disruptionOf(pod);
  if (disruption) return { how: 'badly', failure: disruption };
  const others = statusesOf(pod).flatMap((status) => {
    const found = status.state?.terminated && failureOfContainer(pod, status);
    return found ? [found] : [];
  });
  if (others[0]) return others[0];
  if (phase === 'Succeeded')
    return {
      how: 'cut short',
      failure: user(
        'PrimaryContainerMissing',
        `${titleOf(pod)} has no container "${primary}", whose end would be the task's.`,
        false,
      ),
    };
  return {
    how: 'badly',
    failure: system(
      reason || 'PodFailed',
      `${titleOf(pod)} failed before its container ran${message ? `: ${message}` : ` (${reason ?? 'no reason is given'})`}.`,
    ),
  };
}

/** What keeps a pod from beginning: what is said while it is waited for, and the failure after so long. */
export interface Hindrance {
  reason: string;
  image: boolean;
  /** Milliseconds for which it is waited for. */
  patienceMs: number;
  failure: Failure;
}

const harmless = new Set([
  '',
  'ContainerCreating',
  'PodInitializing',
  'CrashLoopBackOff',
  'RunContainerError',
  'ContainersNotReady',
  'ContainersNotInitialized',
  'PostStartHookError',
]);

/** The worst of what its containers wait for; `undefined`: nothing out of the ordinary. */
export function hindranceOf(pod: V1Pod, patience: PodOptions['patience']): Hindrance | undefined {
  const found = statusesOf(pod).flatMap((status) => hindranceOfContainer(pod, status, patience) ?? []);
  return found.sort((a, b) => a.patienceMs - b.patienceMs)[0];
}

function hindranceOfContainer(
  pod: V1Pod,
  { name, image, state }: V1ContainerStatus,
  patience: PodOptions['patience'],
): Hindrance | undefined {
  const { reason = '', message = '' } = state?.waiting ?? {};
  if (!state?.waiting || harmless.has(reason)) return undefined;
  const text = `${reason}: ${message || `the container "${name}" of ${titleOf(pod)} cannot begin`}`;
  const make = (patienceMs: number, failed: Failure, isImage = false): Hindrance => ({
    reason: text,
    image: isImage,
    patienceMs,
    failure: failed,
  });
  switch (reason) {
    case 'ErrImagePull':
    case 'ImagePullBackOff':
    case 'RegistryUnavailable':
    case 'ImageInspectError':
      return make(
        patience.imageMs,
        user('ImagePullBackOff', `The image "${image}" cannot be pulled. ${text}`, true),
        true,
      );
    case 'InvalidImageName':
    case 'ErrImageNeverPull':
      return make(0, user(reason, `The image "${image}" cannot be used. ${text}`, false), true);
    case 'CreateContainerConfigError':
      return make(patience.configErrorMs, user(reason, `The container "${name}" cannot be made. ${text}`, false));
    case 'CreateContainerError':
      return make(patience.containerErrorMs, user(reason, `The container "${name}" cannot be made. ${text}`, false));
    default:
      return make(0, system(reason, `The container "${name}" cannot begin. ${text}`));
  }
}

/** Since when it could have begun: it has a node, or else it exists. */
export function sinceOf({ metadata, status }: V1Pod): number {
  const scheduled = status?.conditions?.find(({ type, status: is }) => type === 'PodScheduled' && is === 'True');
  return timeOf(scheduled?.lastTransitionTime) ?? timeOf(status?.startTime) ?? timeOf(metadata?.creationTimestamp) ?? 0;
}

export const titleOf = ({ metadata }: V1Pod): string => `The pod ${metadata?.namespace}/${metadata?.name}`;

export function isOver(pod: V1Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

/** It has ended badly, and whether something outside did it is told only with the pod's own end, in a moment. */
export function moreToCome(pod: V1Pod): boolean {
  return !isOver(pod) && !anyRuns(pod);
}
