import { type Asked, type PhaseReport } from '@aloft/backend-kit';
import { type AloftError, notFound, toAloftError } from '@aloft/errors';
import { ArrayStates, type ArrayStateOf, type ChildState } from '../arrays/array-states.js';
import { useOfChildren, type ArrayUse } from '../arrays/array-use.js';
import { asArrayItem, folderOfItem } from '../arrays/item-template.js';
import { listedBlob, WrittenFilesReader } from '../arrays/written-files.js';
import type { BatchCalls } from '../client/batch-calls.js';
import type { AwsBatchOptions } from '../options.js';
import { failedByDependency, isDependable } from './dependencies.js';
import type { Described, Describer } from './describer.js';
import { endedFor, isMisconfigured } from './diagnosis.js';
import { jobIdOf, type BatchJob } from './handle.js';
import { logLinks } from './log-links.js';
import type { OutputTail } from './output-tail.js';
import { asWritten } from './submission.js';
import { hasEnded } from './terminator.js';
import { limitMsOf, neverBegan, underWay, usageOf, verdict } from './verdict.js';

export interface JobReaderOptions {
  calls: Pick<BatchCalls, 'list' | 'terminate'>;
  describer: Describer;
  options: AwsBatchOptions;
  output: Pick<OutputTail, 'of'>;
}

type Answer = PhaseReport | AloftError;

/** Of those that are asked for at the same time: what was worked out once for each array job, by its id. */
interface Together {
  others: readonly Asked<BatchJob>[];
  arrays: Map<string, Promise<ArrayStateOf>>;
  uses: Map<string, Promise<ArrayUse>>;
}

/** How jobs are, as reports of their attempts. */
export class JobReader {
  private readonly arrays: ArrayStates;
  /** Since when Batch says that a job cannot run, of `performance.now()`, by its id. */
  private readonly misconfigured = new Map<string, number>();

  constructor(private readonly deps: JobReaderOptions) {
    this.arrays = new ArrayStates({ calls: deps.calls, files: new WrittenFilesReader() });
  }

  async read(asked: readonly Asked<BatchJob>[]): Promise<Answer[]> {
    // Of children that an event told the end of, the parent need not be asked for.
    const told = new Set(asked.filter(({ handle }) => this.toldEnd(handle) !== undefined));
    const others = asked.filter((ask) => !told.has(ask));
    const described = await this.deps.describer.describe(new Set(others.map(({ handle }) => handle.id)));
    const together: Together = { others, arrays: new Map(), uses: new Map() };
    return Promise.all(
      asked.map(async (ask): Promise<Answer> => {
        const end = told.has(ask) ? this.toldEnd(ask.handle) : undefined;
        if (end) return this.failedOr(() => this.endedChild(ask, end));
        const job = described.get(ask.handle.id);
        if (!job) return notFound(`AWS Batch does not know the job ${ask.handle.id}`);
        const { child } = ask.handle;
        return this.failedOr(() =>
          child === undefined ? this.ofJob(ask, job) : this.ofChild(ask, job, child, together),
        );
      }),
    );
  }

  private async failedOr(answer: () => Promise<Answer>): Promise<Answer> {
    try {
      return await answer();
    } catch (error) {
      return toAloftError(error);
    }
  }

  private toldEnd(handle: BatchJob): Described | undefined {
    const told = handle.child === undefined ? undefined : this.deps.describer.peek(jobIdOf(handle));
    return told && hasEnded(told) ? told : undefined;
  }

  private async endedChild(ask: Asked<BatchJob>, job: Described): Promise<PhaseReport> {
    const launch = asWritten(asArrayItem(ask.launch) ?? ask.launch);
    const output = () => this.deps.output.of(job.logStreamName);
    const report = await verdict(launch, { blob: ask.context.blob, output }, job);
    const logs = logLinks({ job: ask.handle, logStreamName: job.logStreamName }, this.deps.options);
    return { ...report, logs, usage: usageOf(job, job) };
  }

  private async ofJob(ask: Asked<BatchJob>, job: Described): Promise<PhaseReport> {
    const logs = logLinks({ job: ask.handle, logStreamName: job.logStreamName }, this.deps.options);
    if (!hasEnded(job)) {
      await this.endOverTime(ask, job);
      await this.endStuck(ask.handle, job);
      return { ...underWay(job), logs, ...(isDependable(ask.launch) ? { job: jobIdOf(ask.handle) } : {}) };
    }
    this.misconfigured.delete(job.jobId);
    if (await failedByDependency(job, ask.launch, this.deps.describer)) return { ...neverBegan(job), logs };
    const output = () => this.deps.output.of(job.logStreamName);
    const report = await verdict(asWritten(ask.launch), { blob: ask.context.blob, output }, job);
    return { ...report, logs, usage: usageOf(job, job) };
  }

  private async ofChild(
    ask: Asked<BatchJob>,
    parent: Described,
    child: number,
    together: Together,
  ): Promise<PhaseReport> {
    const { blob } = ask.context;
    const { folder, item } = folderOfItem(ask.launch);
    let array = together.arrays.get(parent.jobId);
    if (!array) {
      array = this.arrays.of(parent, blob, { folder, itemAttempt: item.slice(item.indexOf('/') + 1) });
      together.arrays.set(parent.jobId, array);
    }
    const stateOf = await array;
    const state = stateOf(child);
    const logs = logLinks({ job: ask.handle }, this.deps.options);
    if (!state.ended) return { ...(await this.underWay(ask, parent)), logs };
    const launch = asWritten(asArrayItem(ask.launch) ?? ask.launch);
    const own = `${folder}/${item}`;
    const listed = state.written ? listedBlob(blob, own, state.written.names) : blob;
    if (state.job.status === 'SUCCEEDED') {
      const usage = (await this.useOf(parent, stateOf, together))(child, state.job);
      return { ...(await verdict(launch, { blob: listed }, state.job)), logs, ...(usage ? { usage } : {}) };
    }
    return this.failedChild({ ...ask, launch }, state);
  }

  /** What those children used that have succeeded by now, and are asked for. */
  private useOf(parent: Described, stateOf: ArrayStateOf, { others, uses }: Together): Promise<ArrayUse> {
    let use = uses.get(parent.jobId);
    if (!use) {
      const children = others.flatMap(({ handle: { id, child } }) => {
        const state = id === parent.jobId && child !== undefined ? stateOf(child) : undefined;
        return state?.ended && state.job.status === 'SUCCEEDED' ? [child as number] : [];
      });
      use = useOfChildren(parent, children, this.deps.describer);
      uses.set(parent.jobId, use);
    }
    return use;
  }

  /** Of a failed child more is asked: where its output is, what it was given. */
  private async failedChild(ask: Asked<BatchJob>, { job }: ChildState & { ended: true }): Promise<PhaseReport> {
    const id = jobIdOf(ask.handle);
    const described = await this.endOf(id);
    const container = {
      exitCode: described?.container?.exitCode ?? job.container?.exitCode,
      reason: described?.container?.reason ?? job.container?.reason,
    };
    const whole = { ...job, ...described, statusReason: described?.statusReason ?? job.statusReason, container };
    const logStreamName = described?.logStreamName;
    const output = () => this.deps.output.of(logStreamName);
    const report = await verdict(ask.launch, { blob: ask.context.blob, output }, whole);
    return {
      ...report,
      logs: logLinks({ job: ask.handle, logStreamName }, this.deps.options),
      usage: usageOf(whole, described),
    };
  }

  /** What Batch says of a job that has ended, once more where what was heard last is of a time before that. */
  private async endOf(id: string): Promise<Described | undefined> {
    const { describer } = this.deps;
    const known = (await describer.describe([id])).get(id);
    if (!known || hasEnded(known)) return known;
    describer.forget(id);
    const now = (await describer.describe([id])).get(id);
    return now && hasEnded(now) ? now : undefined;
  }

  /**
   * The summary does not say which children run: they are said to once none waits any more. What all wait for is said by the first of them, while
   * nothing of the array has begun.
   */
  private async underWay(ask: Asked<BatchJob>, parent: Described): Promise<PhaseReport> {
    const { size = 0, counts = {} } = parent.array ?? {};
    const count = (...names: string[]) => names.reduce((sum, name) => sum + (counts[name] ?? 0), 0);
    const begun = count('STARTING', 'RUNNING', 'SUCCEEDED', 'FAILED');
    if (begun >= size && count('STARTING') === 0) return underWay({ status: 'RUNNING' });
    if (begun > 0 || count('RUNNABLE') === 0) return underWay({ status: 'SUBMITTED' });
    const first = `${parent.jobId}:0`;
    const job = (await this.deps.describer.describe([first])).get(first);
    if (!job || hasEnded(job)) return underWay({ status: 'SUBMITTED' });
    await this.endStuck(ask.handle, job);
    return underWay(job);
  }

  /** Batch ends what runs over its time, but for limits below a minute; that is done here, and the job's reason says so once it has ended. */
  private async endOverTime({ launch, handle }: Asked<BatchJob>, job: Described): Promise<void> {
    const limitMs = limitMsOf(launch);
    if (limitMs === undefined || job.status !== 'RUNNING' || !job.startedAt) return;
    if (Date.now() - job.startedAt > limitMs) await this.deps.calls.terminate(jobIdOf(handle), endedFor.time(limitMs));
  }

  /** Ends a job of which Batch says for too long that it cannot run. */
  private async endStuck(handle: BatchJob, { jobId, statusReason = '' }: Described): Promise<void> {
    if (!isMisconfigured(statusReason)) {
      this.misconfigured.delete(jobId);
      return;
    }
    const since = this.misconfigured.get(jobId) ?? performance.now();
    this.misconfigured.set(jobId, since);
    if (performance.now() - since >= this.deps.options.misconfiguredMs)
      await this.deps.calls.terminate(jobIdOf(handle), endedFor.misconfiguration(statusReason));
  }
}
