import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '@aloft/database';
import { AloftError, toAloftError } from '@aloft/errors';
import type { Execution } from '@aloft/idl/flyteidl/admin/execution';
import type { AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import type { RpcClient } from '@aloft/rpc';
import type { Work } from '@aloft/service';
import { readTrace, runFields, withTrace, type Logger } from '@aloft/telemetry';
import type { NotifierConfig } from '../config.js';
import type { DeliveriesRepository, TracedDelivery } from '../deliveries/deliveries.repository.js';
import { planDeliveries } from '../deliveries/plan-deliveries.js';
import { backoff } from '../backoff.js';
import type { EndedRun, EndedRunsRepository } from './ended-runs.repository.js';
import type { RunEnd } from './run-ends.js';

const batch = 50;
const claimMs = 60_000;
const maxTaking = 1_000;
const maxDelayMs = 60_000;

export type ExecutionReader = Pick<RpcClient<typeof AdminServiceService>, 'getExecution'>;

/** Turns ended runs into deliveries, asking admin which notifications hold for them. */
export class ExpansionService implements Work {
  readonly name = 'notifications of ended runs';
  /** Ends in memory that {@link take} has yet to deal with. */
  private taking = 0;

  constructor(
    private readonly database: Database,
    private readonly runs: EndedRunsRepository,
    private readonly deliveries: DeliveriesRepository,
    private readonly admin: ExecutionReader,
    private readonly config: NotifierConfig,
    private readonly logger: Logger,
    /** Called when there are new deliveries. */
    private readonly planned: () => void,
    /** Called when admin has to be asked again. */
    private readonly postponed: () => void,
  ) {}

  async run(signal: AbortSignal): Promise<number | undefined> {
    while (!signal.aborted) {
      const claimed = await this.runs.claim(this.database, batch, claimMs);
      if (claimed.length === 0) break;
      await this.expand(claimed, signal);
    }
    return this.runs.nextDue(this.database);
  }

  /** Whether so many are in memory that the next ones are better written down. */
  get full(): boolean {
    return this.taking >= maxTaking;
  }

  /**
   * Ends that were just told of. Of most of them nobody wants to hear: then nothing is written. What has to be told, and what admin cannot say
   * now, is durable when this resolves; it never rejects, and stays pending where `signal` aborts before that.
   */
  async take(ends: readonly RunEnd[], signal: AbortSignal): Promise<void> {
    this.taking += ends.length;
    for (let from = 0; from < ends.length; from += batch) {
      const some = ends.slice(from, from + batch);
      const { planned, unknown } = await this.plan(some, signal);
      if (planned.length > 0 || unknown.length > 0)
        await persist(signal, this.logger, () =>
          this.database.transaction(async (tx) => {
            await this.deliveries.add(tx, planned);
            await this.runs.add(tx, unknown);
            if (planned.length > 0) tx.afterCommit(this.planned);
            if (unknown.length > 0) tx.afterCommit(this.postponed);
          }),
        );
      this.taking -= some.length;
    }
  }

  private async expand(claimed: readonly EndedRun[], signal: AbortSignal): Promise<void> {
    const { planned, known, unknown } = await this.plan(claimed, signal);
    await this.database.transaction(async (tx) => {
      await this.deliveries.add(tx, planned);
      await this.runs.remove(
        tx,
        known.map(({ uid }) => uid),
      );
      for (const { uid, attempts } of unknown)
        await this.runs.postpone(tx, uid, backoff(attempts + 1, 500, maxDelayMs));
      if (planned.length > 0) tx.afterCommit(this.planned);
    });
  }

  private async plan<T extends RunEnd>(
    ends: readonly T[],
    signal: AbortSignal,
  ): Promise<{ planned: TracedDelivery[]; known: T[]; unknown: T[] }> {
    const answers = await Promise.all(ends.map((run) => this.lookUp(run, signal)));
    const planned: TracedDelivery[] = [];
    const known: T[] = [];
    const unknown: T[] = [];
    for (const [i, run] of ends.entries()) {
      const answer = answers[i]!;
      if (answer instanceof AloftError) {
        unknown.push(run);
        continue;
      }
      known.push(run);
      if (answer === 'gone') continue;
      const { traceparent, toldAt } = run;
      for (const delivery of planDeliveries(run, answer, this.config))
        planned.push({ ...delivery, traceparent, toldAt });
    }
    return { planned, known, unknown };
  }

  /** The run's execution; `gone` if it was erased; the error if admin cannot say now. */
  private async lookUp(
    { org, project, domain, name, uid, traceparent }: RunEnd,
    signal: AbortSignal,
  ): Promise<Execution | 'gone' | AloftError> {
    try {
      return await withTrace(readTrace(traceparent), () =>
        this.admin.getExecution({ id: { org, project, domain, name } }, { signal }),
      );
    } catch (thrown) {
      const error = toAloftError(thrown);
      if (error.code === 'NOT_FOUND') return 'gone';
      if (signal.aborted) return error;
      this.logger.warn(
        { ...runFields({ project, domain, name }, uid), code: error.code, reason: error.message },
        'notifications wait: admin does not answer',
      );
      return error;
    }
  }
}

/** Repeats what fails, with growing pauses, until it is done. */
async function persist(signal: AbortSignal, logger: Logger, work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) return never;
      logger.warn({ err: error }, 'ends of runs could not be written down yet');
      await delay(backoff(attempt, 100, 5_000), undefined, { signal }).catch(() => undefined);
    }
  }
}

/** The events come again, to whoever has their stream then. */
const never = new Promise<void>(() => undefined);
