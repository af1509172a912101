import type { Database } from '@aloft/database';
import { failedPrecondition, toAloftError } from '@aloft/errors';
import type { Removed, RunEraseServiceService } from '@aloft/idl/aloft/v1/retention';
import type { RpcClient } from '@aloft/rpc';
import type { Work } from '@aloft/service';
import { runFields, type Logger } from '@aloft/telemetry';
import type { ExecutionDataRow, ExecutionsRepository } from '../executions/executions.repository.js';
import type { NameKey } from '../registry/identifiers.js';
import { heartbeatMs, type ErasureRow, type ErasuresRepository } from './erasures.repository.js';
import type { RetentionRepository } from './retention.repository.js';
import type { RunData } from './run-data.js';

const listed = 1_000;
const firstRetryMs = 1_000;
const longestRetryMs = 300_000;

/**
 * Carries erasures out, one after the other: what there is, is written down; the propeller removes log, metadata and catalog entries;
 * the raw data go; rows and receipt in one transaction. Every step may be done twice, so whoever takes an erasure up where another
 * process left it begins anew (decision 0071).
 */
export class ErasureWorker implements Work {
  readonly name = 'erasures';
  private readonly waiting = new Map<string, Set<() => void>>();

  constructor(
    private readonly database: Database,
    private readonly erasures: ErasuresRepository,
    private readonly retention: RetentionRepository,
    private readonly executions: ExecutionsRepository,
    private readonly data: RunData,
    private readonly propeller: () => RpcClient<typeof RunEraseServiceService>,
    private readonly logger: Logger,
    /** Told once a run is gone. */
    private readonly gone: (key: NameKey) => void,
  ) {}

  async run(signal: AbortSignal): Promise<number | undefined> {
    for (let next = await this.claim(signal); next; next = await this.claim(signal)) {
      const { id } = next;
      // A pulse that is lost is followed by others.
      const pulse = setInterval(() => void this.erasures.extend(this.database, id).catch(() => undefined), heartbeatMs);
      try {
        await this.carryOut(next, signal);
      } catch (thrown) {
        const error = toAloftError(thrown);
        const retryMs = Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(next.attempts - 1, 20));
        this.logger.warn(
          { err: error, erasure: next.id, ...runFields(next, next.uid), retryMs },
          'an erasure goes on later',
        );
        clearInterval(pulse);
        await this.erasures.failed(this.database, next.id, error.message, retryMs);
      } finally {
        clearInterval(pulse);
      }
      this.tell(next.id);
    }
    // What is left is another process's, or waits for its next try.
    for (const id of [...this.waiting.keys()]) this.tell(id);
    return this.erasures.nextDueMs(this.database);
  }

  /** Resolves when it is done or was tried and failed here, or after so long. */
  async settled(id: string, ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.waiting.get(id)?.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      const others = this.waiting.get(id);
      if (others) others.add(wake);
      else this.waiting.set(id, new Set([wake]));
    });
    if (this.waiting.get(id)?.size === 0) this.waiting.delete(id);
  }

  /** What there is of a run; a propeller that doesn't know the run has nothing. */
  async inventory(row: ExecutionDataRow): Promise<Removed> {
    const { org, project, domain, name, uid } = row;
    const theirs = await this.propeller().eraseRun({ id: { org, project, domain, name }, uid, dryRun: true });
    const ours = await this.data.visit(row, false);
    return {
      rows: BigInt(await this.erasures.countRows(this.database, row.id)),
      objects: theirs.objects + BigInt(ours.objects),
      bytes: theirs.bytes + BigInt(ours.bytes),
      places: [...theirs.places, ...ours.places].slice(0, listed),
      cacheEntries: theirs.cacheEntries,
      cacheEntryCount: theirs.cacheEntryCount,
      history: theirs.history,
      historyBytes: theirs.historyBytes,
      left: ours.left.slice(0, listed),
    };
  }

  private claim(signal: AbortSignal): Promise<ErasureRow | undefined> {
    return signal.aborted ? Promise.resolve(undefined) : this.erasures.claim(this.database);
  }

  private async carryOut(erasure: ErasureRow, signal: AbortSignal): Promise<void> {
    const { org, project, domain, name, uid } = erasure;
    const key = { org, project, domain, name };
    const found = await this.executions.findData(this.database, key);
    // Gone already; or the name is another run's.
    const row = found?.uid === uid ? found : undefined;
    if (row) {
      if (!erasure.removed) await this.begin(erasure, row);
      await this.propeller().eraseRun({ id: key, uid, dryRun: false }, { signal });
      await this.data.visit(row, true);
    }
    await this.database.transaction((tx) => this.erasures.removeRows(tx, erasure, row?.id));
    this.gone(key);
    this.logger.info({ erasure: erasure.id, ...runFields(key, uid), principal: erasure.principal }, 'a run was erased');
  }

  /** The last moment at which a hold keeps it. */
  private async begin(erasure: ErasureRow, row: ExecutionDataRow): Promise<void> {
    const inventory = await this.inventory(row);
    await this.database.transaction(async (tx) => {
      await this.retention.lockHolds(tx);
      const held = await this.retention.heldBy(tx, [row.id]);
      if (held) throw failedPrecondition(`it is under legal hold ${held.hold}`);
      await this.erasures.keepInventory(tx, erasure.id, inventory);
    });
  }

  private tell(id: string): void {
    for (const wake of [...(this.waiting.get(id) ?? [])]) wake();
  }
}
