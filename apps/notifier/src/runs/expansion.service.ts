import type { Database } from '@aloft/database';
import { AloftError, toAloftError } from '@aloft/errors';
import type { Execution } from '@aloft/idl/flyteidl/admin/execution';
import type { AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import type { RpcClient } from '@aloft/rpc';
import type { Work } from '@aloft/service';
import { readTrace, runFields, withTrace, type Logger } from '@aloft/telemetry';
import type { NotifierConfig } from '../config.js';
import type { DeliveriesRepository } from '../deliveries/deliveries.repository.js';
import { planDeliveries } from '../deliveries/plan-deliveries.js';
import { backoff } from '../backoff.js';
import type { EndedRun, EndedRunsRepository } from './ended-runs.repository.js';

const batch = 50;
const claimMs = 60_000;
const maxDelayMs = 60_000;

export type ExecutionReader = Pick<RpcClient<typeof AdminServiceService>, 'getExecution'>;

/** Turns ended runs into deliveries, asking admin which notifications hold for them. */
export class ExpansionService implements Work {
  readonly name = 'notifications of ended runs';
  constructor(
    private readonly database: Database,
    private readonly runs: EndedRunsRepository,
    private readonly deliveries: DeliveriesRepository,
    private readonly admin: ExecutionReader,
    private readonly config: NotifierConfig,
    private readonly logger: Logger,
    /** Called when there are new deliveries. */
    private readonly planned: () => void,
  ) {}

  async run(signal: AbortSignal): Promise<number | undefined> {
    while (!signal.aborted) {
      const claimed = await this.runs.claim(this.database, batch, claimMs);
      if (claimed.length === 0) break;
      await this.expand(claimed, signal);
    }
    return this.runs.nextDue(this.database);
  }

  private async expand(claimed: readonly EndedRun[], signal: AbortSignal): Promise<void> {
    const answers = await Promise.all(claimed.map((run) => this.lookUp(run, signal)));
    const known = claimed.flatMap((run, i) =>
      answers[i] instanceof AloftError ? [] : [{ run, execution: answers[i]! }],
    );
    const planned = known.flatMap(({ run, execution }) =>
      execution === 'gone'
        ? []
        : planDeliveries(run, execution as Execution, this.config).map((delivery) => ({
            ...delivery,
            traceparent: run.traceparent,
            toldAt: run.toldAt,
          })),
    );
    await this.database.transaction(async (tx) => {
      await this.deliveries.add(tx, planned);
      await this.runs.remove(
        tx,
        known.map(({ run }) => run.uid),
      );
      for (const [i, run] of claimed.entries())
        if (answers[i] instanceof AloftError)
          await this.runs.postpone(tx, run.uid, backoff(run.attempts + 1, 500, maxDelayMs));
      if (planned.length > 0) tx.afterCommit(this.planned);
    });
  }

  /** The run's execution; `gone` if it was erased; the error if admin cannot say now. */
  private async lookUp(
    { org, project, domain, name, uid, traceparent }: EndedRun,
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
