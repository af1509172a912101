import { errorOf } from '@aloft/backend-kit/testing';
import { ExecutionError_ErrorKind as Kind, TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { diagnose, endedFor, isMisconfigured, type FailedJob } from './diagnosis.js';

const exited = 'Essential container in task exited';
const host = 'Host EC2 (instance i-0123456789abcdef0) terminated.';

/** U-23: one table of what Batch says and what it means here. */
const table: [FailedJob, string, 'USER' | 'SYSTEM', 'again' | 'for good'][] = [
  [{ statusReason: exited, container: { exitCode: 3 } }, 'ExitCode', 'USER', 'again'],
  [
    {
      statusReason: exited,
      container: { exitCode: 137, reason: 'OutOfMemoryError: Container killed due to memory usage' },
    },
    'OOMKilled',
    'USER',
    'again',
  ],
  [{ statusReason: exited, container: { exitCode: 137 } }, 'Interrupted', 'SYSTEM', 'again'],
  [{ statusReason: host }, 'Interrupted', 'SYSTEM', 'again'],
  [{ statusReason: host, container: { exitCode: 143 } }, 'Interrupted', 'SYSTEM', 'again'],
  [{ statusReason: 'Your Spot Task was interrupted.' }, 'Interrupted', 'SYSTEM', 'again'],
  [
    { statusReason: 'Job attempt duration exceeded timeout', container: { exitCode: 137 } },
    'TimeoutExpired',
    'USER',
    'again',
  ],
  [{ statusReason: endedFor.time(300), isTerminated: true }, 'TimeoutExpired', 'USER', 'again'],
  [
    {
      statusReason: 'Task failed to start',
      container: { reason: 'CannotPullContainerError: manifest for x:1 not found' },
    },
    'ImagePullFailed',
    'USER',
    'for good',
  ],
  [
    {
      statusReason:
        'CannotPullContainerError: Error response from daemon: toomanyrequests: You have reached your limit',
    },
    'ImagePullFailed',
    'SYSTEM',
    'again',
  ],
  [
    { container: { reason: 'CannotPullContainerError: dial tcp 10.0.0.1:443: i/o timeout' } },
    'ImagePullFailed',
    'SYSTEM',
    'again',
  ],
  [
    {
      container: { exitCode: 127, reason: 'CannotStartContainerError: exec: "no": executable file not found in $PATH' },
    },
    'ContainerCannotStart',
    'USER',
    'for good',
  ],
  [
    { statusReason: 'ResourceInitializationError: unable to pull secrets or registry auth' },
    'ResourceInitializationFailed',
    'SYSTEM',
    'again',
  ],
  [{ statusReason: 'Container Overrides length must be at most 8192' }, 'OverridesTooLarge', 'USER', 'for good'],
  [
    {
      statusReason: endedFor.misconfiguration('MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - no machine has so much'),
      isTerminated: true,
    },
    'JobCannotRun',
    'USER',
    'for good',
  ],
  [
    {
      statusReason: endedFor.misconfiguration('MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS - it may not'),
      isTerminated: true,
    },
    'JobCannotRun',
    'SYSTEM',
    'for good',
  ],
  [
    {
      statusReason: 'Canceled by JobStateTimeLimit action due to reason: CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY',
      isCancelled: true,
    },
    'JobNeverRan',
    'SYSTEM',
    'again',
  ],
  [{}, 'JobFailed', 'SYSTEM', 'again'],
];

describe('why a job of Batch failed (C-172)', () => {
  it.each(table)('%j is %s of the %s, worth another attempt: %s', (job, code, kind, retry) => {
    const report = diagnose(job);
    expect(errorOf(report)).toMatchObject({ code, kind: Kind[kind] });
    expect(Phase[report.phase]).toBe(retry === 'again' ? 'RETRYABLE_FAILED' : 'FAILED');
    expect(errorOf(report).message).toContain(job.container?.reason ?? job.statusReason ?? 'no reason');
  });

  it('ended by somebody in Batch itself: aborted, not failed (A-164)', () => {
    const report = diagnose({ statusReason: 'not today', isTerminated: true, container: { exitCode: 137 } });
    expect(Phase[report.phase]).toBe('ABORTED');
    expect(report.reason).toContain('not today');
  });

  it('a queue that is blocked by mistake is told from one that is full', () => {
    expect(isMisconfigured('MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - all are too small')).toBe(true);
    expect(isMisconfigured('CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - none are left')).toBe(false);
    expect(isMisconfigured(undefined)).toBe(false);
  });
});
