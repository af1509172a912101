import {
  failure,
  nothingWritten,
  readOutcome,
  storeInputs,
  timestampOf,
  type Asked,
  type AttemptContext,
  type Capacity,
  type Created,
  type Launch,
  type PhaseReport,
  type WebApi,
} from '@aloft/backend-kit';
import { notFound, toAloftError, type AloftError } from '@aloft/errors';
import { TaskUsage, type LaunchTask, type TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase, TaskLog } from '@aloft/idl/flyteidl/core/execution';
import type { JobClient } from './job-client.js';
import type { JobState } from './job.js';

/** Tasks with a container's command, as jobs of a job server. A job is found again by its name, which is its attempt's. */
export class JobApi implements WebApi<string> {
  constructor(
    readonly name: string,
    private readonly client: JobClient,
    private readonly slots: number,
  ) {}

  capacity(): Capacity {
    return { slots: this.slots };
  }

  refuse({ template }: LaunchTask): string | undefined {
    if (template?.target?.$case !== 'container')
      return `The backend "${this.name}" runs commands of containers; a task of type "${template?.type}" has none. Route it elsewhere.`;
    return undefined;
  }

  /** Not cut off when it is aborted meanwhile: the server might have begun it, and its answer is what there is to delete. */
  async create(launch: Launch, { blob }: AttemptContext): Promise<Created<string>> {
    const { template, env, attempt, executionTimeout } = launch;
    await storeInputs(launch, blob);
    const container = template?.target?.$case === 'container' ? template.target.value : undefined;
    const name = nameOf(attempt);
    await this.client.put(name, {
      command: [...(container?.command ?? []), ...(container?.args ?? [])],
      env: Object.fromEntries(env.map(({ key, value }) => [key, value])),
      ...(executionTimeout
        ? { timeoutMs: Number(executionTimeout.seconds) * 1000 + executionTimeout.nanos / 1e6 }
        : {}),
    });
    return { handle: name };
  }

  async find(attempt: TaskAttempt): Promise<string | undefined> {
    const [job] = await this.client.states([nameOf(attempt)]);
    return job?.name;
  }

  async get(asked: readonly Asked<string>[]): Promise<(PhaseReport | AloftError)[]> {
    const states = await this.client.states(asked.map(({ handle }) => handle));
    const byName = new Map(states.map((state) => [state.name, state]));
    return Promise.all(
      asked.map(async ({ handle, launch, context }) => {
        const job = byName.get(handle);
        if (!job) return notFound(`the job server knows no job ${handle}`);
        try {
          return { ...(await reportOf(job, launch, context)), logs: [this.logOf(job)], customInfo: { host: job.host } };
        } catch (error) {
          return toAloftError(error);
        }
      }),
    );
  }

  async delete(handle: string): Promise<void> {
    await this.client.delete(handle);
  }

  encode(handle: string): Uint8Array {
    return Buffer.from(handle);
  }

  decode(bytes: Uint8Array): string {
    return Buffer.from(bytes).toString();
  }

  private logOf({ name }: JobState): TaskLog {
    return TaskLog.fromPartial({ uri: this.client.logOf(name), name: 'Job log', ShowWhilePending: true });
  }
}

/** Of the job of this attempt and generation: there is never a second one. */
const nameOf = ({ name, generation }: TaskAttempt): string => `${name}.${generation}`;

/** How a job ended, in the terms of retries: whose fault it was, and whether another attempt may be worth it. */
async function reportOf(job: JobState, launch: Launch, { blob }: AttemptContext): Promise<PhaseReport> {
  if (job.state === 'running') return { phase: Phase.RUNNING, occurredAt: new Date(job.startedAt) };
  const usage = usageOf(job);
  const ended = (code: string, message: string, kind: 'USER' | 'SYSTEM', retryable = true): PhaseReport => ({
    ...failure({ code, message, kind, retryable }),
    usage,
  });
  if (job.state === 'cancelled') return { phase: Phase.ABORTED, reason: 'The job was cancelled at its server.', usage };
  if (job.state === 'unstartable')
    return ended('CommandNotStarted', `The command could not be started: ${job.lastWords}`, 'USER', false);
  if (job.state === 'timed-out') return ended('TimeoutExpired', 'The attempt ran for longer than it may.', 'USER');
  // What it wrote comes first: an error of its own says more than its exit code.
  const outcome = await readOutcome(launch, blob);
  if (outcome && (job.exitCode === 0 || outcome.phase !== Phase.SUCCEEDED)) return { ...outcome, usage };
  if (job.exitCode === 0) return { ...nothingWritten(launch), usage };
  return job.exitCode === undefined
    ? ended('Interrupted', `The job was killed by ${job.signal}.`, 'SYSTEM')
    : ended(
        'ExitedNonZero',
        `The command ended with exit code ${job.exitCode}. It said last:\n${job.lastWords}`,
        'USER',
      );
}

/** Processor and memory are its server's own affair: it does not tell. */
const usageOf = ({ startedAt, endedAt = startedAt }: JobState): TaskUsage =>
  TaskUsage.fromPartial({ startedAt: timestampOf(new Date(startedAt)), endedAt: timestampOf(new Date(endedAt)) });
