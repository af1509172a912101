import { failure, type PhaseReport } from '@aloft/backend-kit';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';

/** What Batch says of a job that failed, of DescribeJobs or of ListJobs. */
export interface FailedJob {
  jobId?: string | undefined;
  status?: string | undefined;
  statusReason?: string | undefined;
  isTerminated?: boolean | undefined;
  isCancelled?: boolean | undefined;
  container?: { exitCode?: number | undefined; reason?: string | undefined } | undefined;
}

interface Diagnosis {
  when: RegExp;
  code: string;
  kind: 'USER' | 'SYSTEM';
  retryable: boolean;
  /** What to do about it. */
  advice?: string;
}

/** Reasons that jobs are given which this backend ends by itself: whoever reads them afterwards knows why. */
export const endedFor = {
  time: (limitMs: number) => `Aloft: it ran for longer than its limit of ${limitMs / 1000} s`,
  misconfiguration: (statusReason: string) => `Aloft: it cannot run as its queue is configured: ${statusReason}`,
};

/** Texts of Batch and ECS, the first that is found decides (C-172 on Batch). */
const diagnoses: readonly Diagnosis[] = [
  {
    when: /^Aloft: it cannot run .*JOB_RESOURCE_REQUIREMENT/,
    code: 'JobCannotRun',
    kind: 'USER',
    retryable: false,
    advice: 'Ask for less, or give the queue machines that have so much.',
  },
  { when: /^Aloft: it cannot run/, code: 'JobCannotRun', kind: 'SYSTEM', retryable: false },
  {
    when: /OutOfMemory/i,
    code: 'OOMKilled',
    kind: 'USER',
    retryable: true,
    advice: 'Ask for more memory, or use less.',
  },
  {
    when: /^Aloft: it ran for longer|attempt duration exceeded timeout|exceeded the configured attemptDurationSeconds/i,
    code: 'TimeoutExpired',
    kind: 'USER',
    retryable: true,
  },
  {
    when: /Host EC2 .*terminated|spot (task|instance|interruption)|Spot Task was interrupted|instance (was )?(terminated|reclaimed|stopped)|Task failed to start: .*instance|DockerTimeoutError|agent disconnected|AgentError/i,
    code: 'Interrupted',
    kind: 'SYSTEM',
    retryable: true,
  },
  {
    when: /CannotPull\w*.*(toomanyrequests|rate exceeded|timeout|timed out|i\/o|connection|EOF|TLS|temporar|context canceled)/i,
    code: 'ImagePullFailed',
    kind: 'SYSTEM',
    retryable: true,
  },
  {
    when: /CannotPull|manifest (unknown|.*not found)|repository .*does not exist|pull access denied/i,
    code: 'ImagePullFailed',
    kind: 'USER',
    retryable: false,
    advice: 'Check the name of the image, and that the execution or instance role may pull it.',
  },
  {
    when: /CannotStart\w*|CannotCreateContainer|executable file not found|exec format error|no such file or directory/i,
    code: 'ContainerCannotStart',
    kind: 'USER',
    retryable: false,
    advice: 'Check the command, and that the image is made for the machines of the queue.',
  },
  { when: /Container Overrides length/i, code: 'OverridesTooLarge', kind: 'USER', retryable: false },
  {
    when: /ResourceInitializationError|unable to pull secrets|CannotInspectContainer|InternalError|ServerException/i,
    code: 'ResourceInitializationFailed',
    kind: 'SYSTEM',
    retryable: true,
  },
  { when: /^Canceled by JobStateTimeLimit action/i, code: 'JobNeverRan', kind: 'SYSTEM', retryable: true },
];

/** The way a failed job ended, where it wrote neither outputs nor an error (C-172). `output`: its last lines, if they could be had. */
export function diagnose(job: FailedJob, output = ''): PhaseReport {
  const { statusReason = '', container: { exitCode, reason = '' } = {} } = job;
  const said = [statusReason, reason].filter(Boolean).join('; ') || 'AWS Batch gives no reason';
  const found = diagnoses.find(({ when }) => when.test(reason) || when.test(statusReason));
  if (found) {
    const { code, kind, retryable, advice } = found;
    return failure({ code, kind, retryable, message: `${said}.${advice ? ` ${advice}` : ''}${tail(output)}` });
  }
  // Not by us: whoever aborts here hears nothing of the job any more.
  if (job.isTerminated || job.isCancelled)
    return { phase: Phase.ABORTED, reason: `The job was ended in AWS Batch: ${said}` };
  if (exitCode === 137 || exitCode === 247)
    return failure({
      code: 'Interrupted',
      message: `The container was killed (exit code ${exitCode}) by something outside the platform: ${said}.${tail(output)}`,
      kind: 'SYSTEM',
      retryable: true,
    });
  if (exitCode !== undefined && exitCode !== 0)
    return failure({
      code: 'ExitCode',
      message: `The container exited with code ${exitCode} and wrote no error.pb (${said}).${tail(output)}`,
      kind: 'USER',
      retryable: true,
    });
  return failure({
    code: 'JobFailed',
    message: `The job failed in AWS Batch: ${said}.${tail(output)}`,
    kind: 'SYSTEM',
    retryable: true,
  });
}

const tail = (output: string): string => (output === '' ? '' : ` Its last output:\n${output}`);

/** Why a job that waits may wait for ever (`MISCONFIGURATION:…`, `ACTION_REQUIRED …`), as Batch says it of a queue's first job. */
export const isMisconfigured = (statusReason: string | undefined): boolean =>
  /^(MISCONFIGURATION|ACTION_REQUIRED)/.test(statusReason ?? '');
