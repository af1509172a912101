import type { PhaseReport } from '@aloft/backend-kit';
import { launchOf } from '@aloft/backend-kit/testing';
import { ExecutionError_ErrorKind as Kind, TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { WaitReason_Kind } from '@aloft/idl/aloft/v1/bus';
import type { V1ContainerState, V1Pod, V1PodStatus } from '@kubernetes/client-node';
import type { Sight } from '../kind.js';
import { lookAt } from './look.js';

const now = Date.parse('2026-11-27T12:00:00Z');
const at = (seconds: number) => new Date(now + seconds * 1000).toISOString() as unknown as Date;
const patience = { imageMs: 180_000, containerErrorMs: 180_000, configErrorMs: 0, pendingMs: 0 };

/** A pod as the API has it; `main` is its container's state. */
function pod(
  status: Partial<V1PodStatus> & { main?: V1ContainerState },
  metadata: Partial<V1Pod['metadata']> = {},
): V1Pod {
  const { main, ...rest } = status;
  return {
    metadata: { name: 'run1-n0-0', namespace: 'p-development', creationTimestamp: at(-60), ...metadata },
    spec: { containers: [{ name: 'main', resources: { requests: { cpu: '500m', memory: '1Gi' } } }] },
    status: {
      phase: 'Running',
      startTime: at(-50),
      ...(main
        ? {
            containerStatuses: [
              { name: 'main', image: 'i:1', imageID: '', ready: false, restartCount: 0, state: main },
            ],
          }
        : {}),
      ...rest,
    },
  };
}

const look = (of: V1Pod, more: { timeoutMs?: number; pendingMs?: number; now?: number } = {}): Sight =>
  lookAt(
    of,
    launchOf({ name: 'run1-n0-0', ...(more.timeoutMs ? { executionTimeoutMs: more.timeoutMs } : {}) }),
    more.now ?? now,
    { primary: 'main', last: 'main' },
    { patience: { ...patience, pendingMs: more.pendingMs ?? 0 } },
    [],
  );

function failureIn({ end }: Sight) {
  if (!end || end.how === 'well') throw new Error(`no failure: ${JSON.stringify(end)}`);
  const result = (end.failure as PhaseReport).outcome?.result;
  if (result?.$case !== 'error') throw new Error('no error');
  const { code, kind, message } = result.value;
  return { how: end.how, code, kind: Kind[kind], message, retryable: end.failure.phase === Phase.RETRYABLE_FAILED };
}

const ended = (terminated: Partial<NonNullable<V1ContainerState['terminated']>>): V1ContainerState => ({
  terminated: { exitCode: 0, startedAt: at(-40), finishedAt: at(-10), ...terminated },
});

describe('what a pod says of its attempt', () => {
  describe('while it goes on (C-173)', () => {
    it('without a node for lack of room: it waits for capacity, and says of what', () => {
      const message = '0/3 nodes are available: 3 Insufficient nvidia.com/gpu.';
      const conditions = [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }];
      expect(look(pod({ phase: 'Pending', conditions })).report).toMatchObject({
        phase: Phase.WAITING_FOR_RESOURCES,
        waitsFor: WaitReason_Kind.CAPACITY,
        reason: expect.stringContaining('Insufficient nvidia.com/gpu'),
      });
    });

    it('held by a gate (Kueue): it waits for a quota', () => {
      const conditions = [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated', message: 'gated' }];
      expect(look(pod({ phase: 'Pending', conditions })).report).toMatchObject({ waitsFor: WaitReason_Kind.QUOTA });
    });

    it('on a node: it begins, then it runs since its container does', () => {
      expect(look(pod({ phase: 'Pending', main: { waiting: { reason: 'ContainerCreating' } } })).report).toEqual({
        phase: Phase.INITIALIZING,
      });
      expect(look(pod({ main: { running: { startedAt: at(-40) } } })).report).toMatchObject({
        phase: Phase.RUNNING,
        occurredAt: new Date(now - 40_000),
      });
    });

    it('with a time limit: it is looked at again when that is over, and then it is (C-50)', () => {
      const running = pod({ main: { running: { startedAt: at(-40) } } });
      expect(look(running, { timeoutMs: 60_000 }).lookAgainAt).toBe(now + 20_000);
      expect(failureIn(look(running, { timeoutMs: 30_000 }))).toMatchObject({
        how: 'cut short',
        code: 'TimeoutExpired',
        kind: 'USER',
        retryable: true,
      });
    });

    it('that does not begin: it may for so long', () => {
      const pending = pod({ phase: 'Pending' });
      expect(look(pending, { pendingMs: 120_000 }).lookAgainAt).toBe(now + 60_000);
      expect(failureIn(look(pending, { pendingMs: 30_000 }))).toMatchObject({
        code: 'PendingTimeout',
        kind: 'SYSTEM',
        retryable: true,
      });
    });
  });

  describe('when it has ended', () => {
    it('well: its times and what it had requested are its usage (U-25)', () => {
      const { end } = look(pod({ phase: 'Succeeded', main: ended({}) }));
      expect(end).toMatchObject({
        how: 'well',
        at: new Date(now - 10_000),
        usage: { cpuSeconds: 15, memoryByteSeconds: 30 * 2 ** 30 },
      });
    });

    it.each([
      [
        'out of memory',
        { exitCode: 137, reason: 'OOMKilled' },
        {},
        { code: 'OOMKilled', kind: 'USER', retryable: true, how: 'cut short' },
      ],
      [
        'out of memory though it exited well',
        { exitCode: 0, reason: 'OOMKilled' },
        {},
        { code: 'OOMKilled', kind: 'USER', retryable: true },
      ],
      [
        'killed from outside',
        { exitCode: 137, reason: 'Error' },
        {},
        { code: 'Interrupted', kind: 'SYSTEM', retryable: true },
      ],
      ['killed by its init', { exitCode: 247, reason: 'Error' }, {}, { code: 'Interrupted', kind: 'SYSTEM' }],
      [
        'an exit code',
        { exitCode: 3, message: 'last words' },
        {},
        { code: 'ExitCode', kind: 'USER', retryable: true, message: expect.stringContaining('last words') },
      ],
      [
        'no such command',
        { exitCode: 128, reason: 'StartError', message: 'no-such-thing' },
        {},
        { code: 'ContainerCannotRun', kind: 'USER', retryable: false },
      ],
      [
        'evicted',
        { exitCode: 143 },
        { reason: 'Evicted', message: 'low on memory' },
        { code: 'Evicted', kind: 'SYSTEM', retryable: true },
      ],
      [
        'over its deadline',
        { exitCode: 143 },
        { reason: 'DeadlineExceeded' },
        { code: 'TimeoutExpired', kind: 'USER', retryable: true },
      ],
      ['node shut down', { exitCode: 143 }, { reason: 'Terminated' }, { code: 'NodeShutdown', kind: 'SYSTEM' }],
    ])('C-172: %s', (_, terminated, status, wanted) => {
      expect(failureIn(look(pod({ phase: 'Failed', main: ended(terminated), ...status })))).toMatchObject(wanted);
    });

    it.each([
      ['PreemptionByScheduler', 'Preempted'],
      ['DeletionByTaintManager', 'NodeLost'],
      ['DeletionByPodGC', 'NodeLost'],
      ['EvictionByEvictionAPI', 'Evicted'],
    ])('C-172: %s is the system', (reason, code) => {
      const conditions = [{ type: 'DisruptionTarget', status: 'True', reason }];
      expect(failureIn(look(pod({ phase: 'Failed', conditions, main: ended({ exitCode: 143 }) })))).toMatchObject({
        code,
        kind: 'SYSTEM',
        retryable: true,
      });
    });

    it('refused by its node before any container ran: the system, retryable', () => {
      expect(failureIn(look(pod({ phase: 'Failed', reason: 'OutOfcpu', message: 'no cpu' })))).toMatchObject({
        code: 'OutOfcpu',
        kind: 'SYSTEM',
        retryable: true,
      });
    });

    it('without its primary container: for good', () => {
      expect(failureIn(look(pod({ phase: 'Succeeded' })))).toMatchObject({
        code: 'PrimaryContainerMissing',
        kind: 'USER',
        retryable: false,
      });
    });

    it('badly, its pod not yet: why is waited for a moment, since the node tells that later', () => {
      const main = ended({ exitCode: 143, finishedAt: at(-1) });
      expect(look(pod({ main }))).toEqual({ lookAgainAt: now + 9_000 });
      expect(failureIn(look(pod({ main }), { now: now + 10_000 }))).toMatchObject({ code: 'ExitCode' });
    });

    it('deleted by somebody: the system, once it is over or its node does not answer', () => {
      const metadata = { deletionTimestamp: at(0) };
      const running = { main: { running: { startedAt: at(-40) } } };
      const onNode = { ...pod(running, metadata), spec: { nodeName: 'node-1', containers: [] } };
      expect(look(onNode)).toEqual({ lookAgainAt: now + 60_000 });
      expect(failureIn(look(onNode, { now: now + 60_000 }))).toMatchObject({
        code: 'Interrupted',
        kind: 'SYSTEM',
      });
      expect(failureIn(look({ ...pod({}, metadata), spec: { containers: [] } }))).toMatchObject({
        code: 'Interrupted',
        kind: 'SYSTEM',
        message: expect.stringContaining('before it had a node'),
      });
      expect(failureIn(look(pod({ phase: 'Failed', main: ended({ exitCode: 143 }) }, metadata)))).toMatchObject({
        code: 'Interrupted',
        kind: 'SYSTEM',
      });
    });
  });

  describe('when it cannot begin (C-172)', () => {
    const waiting = (reason: string) => pod({ phase: 'Pending', main: { waiting: { reason, message: 'because' } } });

    it.each(['ErrImagePull', 'ImagePullBackOff'])('%s: three minutes, then the user, retryable', (reason) => {
      expect(look(waiting(reason))).toMatchObject({
        report: { waitsFor: WaitReason_Kind.IMAGE },
        lookAgainAt: now - 50_000 + 180_000,
      });
      expect(failureIn(look(waiting(reason), { now: now + 180_000 }))).toMatchObject({
        code: 'ImagePullBackOff',
        kind: 'USER',
        retryable: true,
      });
    });

    it('CreateContainerError: three minutes, then for good', () => {
      expect(look(waiting('CreateContainerError')).end).toBeUndefined();
      expect(failureIn(look(waiting('CreateContainerError'), { now: now + 180_000 }))).toMatchObject({
        kind: 'USER',
        retryable: false,
      });
    });

    it.each(['CreateContainerConfigError', 'InvalidImageName'])('%s: for good, at once', (code) => {
      expect(failureIn(look(waiting(code)))).toMatchObject({ code, kind: 'USER', retryable: false, how: 'cut short' });
    });

    it('what nobody has heard of: the system, retryable', () => {
      expect(failureIn(look(waiting('SomethingNew')))).toMatchObject({
        code: 'SomethingNew',
        kind: 'SYSTEM',
        retryable: true,
      });
    });
  });
});
