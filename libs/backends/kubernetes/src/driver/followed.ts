import {
  type AttemptContext,
  failure,
  isTerminal,
  nothingWritten,
  type PhaseReport,
  readOutcome,
  withCheckpoint,
} from '@aloft/backend-kit';
import type { TaskUsage } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { Backoff } from '../cluster/backoff.js';
import type { ClusterObject } from '../cluster/resource.js';
import type { End, Launch, ObjectKind } from '../kind.js';
import { type Cluster, urgency } from './cluster.js';
import { MeasuredUse } from '../usage/measured-use.js';
import { encodeMemory, type Memory } from './memory.js';
import { vanished } from './vanished.js';

export interface FollowedOptions {
  launch: Launch;
  context: AttemptContext;
  kind: ObjectKind;
  cluster: Cluster;
  namespace: string;
  name: string;
  /** What was written down of it. */
  memory: Memory;
  /** Seconds between SIGTERM and SIGKILL. */
  graceSeconds: number;
  /** Milliseconds for which what it uses is reckoned, from when it was last seen. */
  reckonMs: number;
  /** Its end was told to the host. */
  onEnded: (followed: Followed) => void;
}

/** Longest timer that Node keeps. */
const longestTimerMs = 2 ** 31 - 1;

/** One attempt that this process looks after: what its object says becomes its reports. */
export class Followed {
  readonly launch: Launch;
  readonly context: AttemptContext;
  readonly kind: ObjectKind;
  readonly cluster: Cluster;
  readonly namespace: string;
  readonly name: string;
  /** As it was seen last. */
  object: ClusterObject | undefined;
  /** Creation under way; aborting it ends the wait for room. */
  creating: AbortController | undefined;
  state: 'live' | 'ending' | 'over' = 'live';
  /** How it ended. */
  succeeded = false;
  /** What its containers were seen to use. */
  readonly use = new MeasuredUse();
  private told = '';
  /** The last that was told. */
  private phase = Phase.UNDEFINED;
  private timer: NodeJS.Timeout | undefined;
  private memory: Memory;

  constructor(private readonly options: FollowedOptions) {
    this.memory = options.memory;
    ({
      launch: this.launch,
      context: this.context,
      kind: this.kind,
      cluster: this.cluster,
      namespace: this.namespace,
      name: this.name,
    } = options);
  }

  /** Its object is there, or says something else. */
  see(object: ClusterObject): void {
    this.object = object;
    clearTimeout(this.timer);
    if (this.state !== 'live') return;
    if (this.memory.end) return void this.finish(this.memory.end);
    const now = Date.now();
    const { report, end, lookAgainAt } = this.kind.look(object, this.launch, now);
    if (end) return void this.finish(end, report);
    if (report) this.tell(report);
    if (lookAgainAt === undefined) return;
    const ms = Math.min(Math.max(lookAgainAt - now, 0) + 20, longestTimerMs);
    this.timer = setTimeout(() => this.object && this.see(this.object), ms).unref();
  }

  /** Its object is there no more, whoever deleted it. */
  lose(object: ClusterObject): void {
    if (this.state !== 'live') return;
    // What is deleted often ends first, and its last state tells how.
    this.see(object);
    if (this.stateNow() === 'live') void this.finish(vanished(object, this.launch));
  }

  /** The object that was written down, which is not there any more although nobody here saw it go. */
  missing(): void {
    const { namespace, name, kind, memory } = this;
    const object = { kind: kind.resource.kind, metadata: { namespace, name } };
    if (this.state === 'live') void this.finish(memory.end ?? vanished(object, this.launch));
  }

  /** What a later process has to know of it; resolves when it is durable. */
  async remember(more: Memory): Promise<void> {
    this.memory = { ...this.memory, ...more };
    await this.context.remember(encodeMemory(this.memory));
  }

  /** Its object, by an earlier process. */
  get made(): string | undefined {
    return this.memory.uid;
  }

  tell(report: PhaseReport): void {
    const { occurredAt: _, ...what } = report;
    const told = JSON.stringify(what, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}` : value));
    if (this.state === 'over' || told === this.told) return;
    this.told = told;
    this.phase = report.phase;
    this.context.report(report);
  }

  /** It has no place: something that its object needs is not there, or not in that amount. */
  refuse({ message }: Error, obstacle: 'missing' | 'beyond'): void {
    const code = obstacle === 'missing' ? 'NoPlace' : 'ResourcesExceedCapacity';
    this.tell(failure({ code, message, kind: 'USER', retryable: false }));
    this.close();
  }

  /** What it used until now: for one that is ended before its object tells. */
  tellUse(): void {
    const { object, state, phase, kind, launch } = this;
    if (!object || state !== 'live' || phase !== Phase.RUNNING) return;
    const now = Date.now();
    const usage = kind.useUntil(object, launch, now);
    if (usage) this.context.report({ phase, usage: this.measured(usage, now) });
  }

  /** As it was seen; where nothing was, as `usage` says. */
  private measured(usage: TaskUsage, until: number): TaskUsage {
    const seen = this.use.figures(until, this.options.reckonMs);
    return seen ? { ...usage, ...seen, reserved: false } : usage;
  }

  /** Nothing of it is told any more. */
  close(): void {
    this.state = 'over';
    clearTimeout(this.timer);
    this.creating?.abort();
  }

  private async finish(ended: End, last?: PhaseReport): Promise<void> {
    this.state = 'ending';
    clearTimeout(this.timer);
    const end = { ...ended, usage: this.measured(ended.usage, ended.at.getTime()) };
    const { logs, customInfo } = last ?? {};
    const verdict = await this.patiently(async () => {
      await this.endRest(end);
      return this.judge(end);
    });
    if (!verdict || this.stateNow() === 'over') return;
    this.succeeded = verdict.phase === Phase.SUCCEEDED;
    this.tell({
      ...(logs ? { logs } : {}),
      ...(customInfo ? { customInfo } : {}),
      ...verdict,
      usage: end.usage,
      occurredAt: end.at,
    });
    this.close();
    this.options.onEnded(this);
  }

  /**
   * Whatever of it runs yet although it is over is ended before anybody hears of its end. Why is written down first: once the object is gone, nothing
   * else would tell.
   */
  private async endRest(end: End): Promise<void> {
    const { object, kind, cluster, namespace, name, options } = this;
    if (end.how !== 'cut short' || !object || !kind.lingers(object)) return;
    const { graceSeconds } = options;
    if (!this.memory.end) await this.remember({ uid: object.metadata?.uid, end });
    if (this.stateNow() === 'over') return;
    await cluster.remove(kind, namespace, name, { graceSeconds, uid: object.metadata?.uid, priority: urgency.abort });
  }

  /** Why it was ended, then what it wrote (C-108, C-170), then how it went (C-172). */
  private async judge(end: End): Promise<PhaseReport> {
    const { launch, context, kind } = this;
    if (end.how === 'cut short') return withCheckpoint(launch, context.blob, end.failure);
    const written = await readOutcome(launch, context.blob, kind.distributed ? { distributedErrors: true } : {});
    if (end.how === 'well') return withCheckpoint(launch, context.blob, written ?? nothingWritten(launch));
    const { result } = written?.outcome ?? {};
    const own = written && isTerminal(written.phase) && result?.$case === 'error' && result.value.errorUri !== '';
    return withCheckpoint(launch, context.blob, own ? written : end.failure);
  }

  /** Storage that is away is waited for as long as it takes: the attempt has ended, and nobody knows how. `undefined`: not ours any more. */
  private async patiently(work: () => Promise<PhaseReport>): Promise<PhaseReport | undefined> {
    const pauses = new Backoff(100, 15_000);
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (this.state === 'over' || !this.context.holds()) return undefined;
        this.context.logger.warn({ err: error }, 'the end of an attempt cannot be made out yet');
        await new Promise((resolve) => setTimeout(resolve, pauses.next()));
        if (this.stateNow() === 'over') return undefined;
      }
    }
  }

  /** Read anew after something else ran: the compiler believes that nothing changed meanwhile. */
  private stateNow(): Followed['state'] {
    return this.state;
  }
}
