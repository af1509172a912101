import { toAloftError } from '@aloft/errors';
import type { LaunchTask, TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import PQueue from 'p-queue';
import type { AttemptContext, BackendPlugin, Capacity, HostView, PhaseReport } from '../contract.js';
import { attemptKey } from '../host/attempt-key.js';
import { failure } from '../outcome/phases.js';
import { defaultLimits, type Launch, type WebApi, type WebApiLimits } from './contract.js';
import { JobPoller, type Job } from './job-poller.js';

/** One attempt here: its job once there is one, and what is on its way to it. */
interface Known<Handle> {
  generation: number;
  job: Job<Handle> | undefined;
  handle: Handle | undefined;
  /** Of a creation under way. */
  creating: AbortController | undefined;
  /** A job may have been created before then (of `performance.now()`) of which nobody was told. */
  doubtfulAt: number | undefined;
}

/** A backend plugin out of a {@link WebApi}: the second of the three levels on which a plugin can be written. */
export class WebApiBackend<Handle> implements BackendPlugin {
  readonly reach = 'anywhere';
  readonly launches = 'stored';
  private readonly known = new Map<string, Known<Handle>>();
  private readonly limits: WebApiLimits;
  private readonly poller: JobPoller<Handle>;
  private readonly writes: PQueue;

  constructor(
    private readonly api: WebApi<Handle>,
    limits: Partial<WebApiLimits> = {},
  ) {
    this.limits = { ...defaultLimits, ...limits };
    const { concurrency, perSecond } = this.limits.writes;
    this.writes = new PQueue({ concurrency, intervalCap: perSecond, interval: 1000 });
    this.poller = new JobPoller({ api, limits: this.limits, onEnded: () => undefined });
  }

  get name(): string {
    return this.api.name;
  }

  capacity(): Capacity {
    return this.api.capacity();
  }

  taskTypes(): readonly string[] {
    return this.api.taskTypes?.() ?? [];
  }

  refuse(launch: LaunchTask): string | undefined {
    return this.api.refuse(launch);
  }

  noPlace(launch: LaunchTask): string | undefined {
    return this.api.noPlace?.(launch);
  }

  async start(host?: HostView): Promise<void> {
    this.api.listen?.((name) => this.poller.hurry(name));
    await this.api.start?.(host);
  }

  async launch(given: LaunchTask, context: AttemptContext): Promise<void> {
    const launch = given as Launch;
    const known = this.of(launch.attempt);
    if (known.job || known.creating) return;
    // A creation that was remembered, by an earlier try or another host.
    const before = known.handle ?? (context.remembered && this.api.decode(context.remembered));
    if (before !== undefined) return this.follow(known, launch, context, before, 0);
    const creating = new AbortController();
    known.creating = creating;
    try {
      const { doubtfulAt } = known;
      const found = doubtfulAt === undefined ? undefined : await this.api.find?.(launch.attempt, doubtfulAt);
      if (found !== undefined) return await this.created(known, launch, context, found);
      const created = await this.create(known, launch, context, creating.signal);
      if ('end' in created) return context.report(created.end);
      if (created.report) context.report(created.report);
      await this.created(known, launch, context, created.handle);
    } finally {
      known.creating = undefined;
    }
  }

  async adopt(
    launches: readonly LaunchTask[],
    contextOf: (attempt: TaskAttempt) => AttemptContext,
  ): Promise<TaskAttempt[]> {
    const absent: TaskAttempt[] = [];
    for (const launch of launches as readonly Launch[]) {
      const context = contextOf(launch.attempt);
      // Whether it was created by a process that died at once is found out by its launch.
      if (context.remembered === undefined) {
        absent.push(launch.attempt);
        this.of(launch.attempt).doubtfulAt = performance.now();
        continue;
      }
      try {
        this.follow(this.of(launch.attempt), launch, context, this.api.decode(context.remembered), 0);
      } catch (error) {
        context.report(unreadable(this.name, error));
      }
    }
    return absent;
  }

  async abort(attempt: TaskAttempt, reason: string, remembered?: Uint8Array): Promise<void> {
    const key = attemptKey(attempt);
    const found = this.known.get(key);
    const known = found && found.generation === attempt.generation ? found : undefined;
    if (known?.job) this.poller.forget(known.job);
    known?.creating?.abort(new Error(reason));
    let handle = known?.handle ?? this.found(remembered);
    // A process that died, or a lost answer, may have left a job of which nothing was written down.
    const doubtfulAt = known ? known.doubtfulAt : performance.now();
    if (handle === undefined && doubtfulAt !== undefined) handle = await this.api.find?.(attempt, doubtfulAt);
    if (handle !== undefined) await this.delete(handle, reason);
    if (known && !known.creating && this.known.get(key) === known) this.known.delete(key);
  }

  async forget(attempts: readonly TaskAttempt[]): Promise<void> {
    for (const attempt of attempts) {
      const key = attemptKey(attempt);
      if ((this.known.get(key)?.generation ?? Infinity) <= attempt.generation) this.known.delete(key);
    }
  }

  async stop(): Promise<void> {
    this.poller.stop();
    this.writes.clear();
    await this.api.stop?.();
  }

  private async create(known: Known<Handle>, launch: Launch, context: AttemptContext, signal: AbortSignal) {
    try {
      return await this.writes.add(() => this.api.create(launch, context, signal));
    } catch (error) {
      known.doubtfulAt = toAloftError(error).code === 'RESOURCE_EXHAUSTED' ? undefined : performance.now();
      throw error;
    }
  }

  /** It exists: that is written down before anything else is done with it. */
  private async created(known: Known<Handle>, launch: Launch, context: AttemptContext, handle: Handle): Promise<void> {
    known.handle = handle;
    try {
      await context.remember(this.api.encode(handle));
    } catch (error) {
      // A host that stops has its work for a moment yet. Else the attempt is somebody else's, who begins it anew, or can't be remembered at all:
      // this job is nobody's.
      if (toAloftError(error).code !== 'UNAVAILABLE') {
        known.handle = undefined;
        await this.delete(handle, 'nobody would find it again');
      }
      throw error;
    }
    this.follow(known, launch, context, handle, this.limits.pollMs.first);
  }

  private follow(known: Known<Handle>, launch: Launch, context: AttemptContext, handle: Handle, firstMs: number): void {
    known.handle = handle;
    known.job = this.poller.watch({ launch, context, handle }, firstMs);
  }

  /** What cannot be read names no job that anybody could end. */
  private found(remembered: Uint8Array | undefined): Handle | undefined {
    try {
      return remembered && this.api.decode(remembered);
    } catch {
      return undefined;
    }
  }

  private async delete(handle: Handle, reason: string): Promise<void> {
    try {
      await this.writes.add(() => this.api.delete(handle, reason));
    } catch (error) {
      if (toAloftError(error).code !== 'NOT_FOUND') throw error;
    }
  }

  private of({ generation, ...attempt }: TaskAttempt): Known<Handle> {
    const key = attemptKey({ generation, ...attempt });
    const known = this.known.get(key);
    if (known?.generation === generation) return known;
    const fresh: Known<Handle> = {
      generation,
      job: undefined,
      handle: undefined,
      creating: undefined,
      doubtfulAt: undefined,
    };
    this.known.set(key, fresh);
    return fresh;
  }
}

const unreadable = (backend: string, error: unknown): PhaseReport =>
  failure({
    code: 'JobUnreadable',
    message: `What the backend "${backend}" remembered of the attempt's job cannot be read: ${toAloftError(error).message}`,
    kind: 'SYSTEM',
    retryable: true,
  });
