import type { Transaction } from '@aloft/database';
import type { Fence, FinishedBatch, LeaseState, WorkRow, WorkStore } from '../host/work-store.js';

/** A {@link WorkStore} that outlives hosts within one test; writes count only when their transaction commits. */
export class MemoryWorkStore implements WorkStore {
  readonly work = new Map<string, WorkRow & { host: string }>();
  readonly finished = new Map<string, FinishedBatch & { host: string }>();
  readonly fences = new Map<string, number>();
  readonly hosts = new Map<string, { epoch: bigint; expiresAt: number }>();
  statements = 0;

  async acquire(host: string, leaseMs: number): Promise<bigint> {
    const epoch = (this.hosts.get(host)?.epoch ?? 0n) + 1n;
    this.hosts.set(host, { epoch, expiresAt: Date.now() + leaseMs });
    return epoch;
  }

  async renew(host: string, epoch: bigint, leaseMs: number): Promise<LeaseState> {
    const held = this.hosts.get(host);
    if (!held) return 'taken';
    if (held.epoch !== epoch) return 'fenced';
    held.expiresAt = Date.now() + leaseMs;
    return 'held';
  }

  async release(host: string, epoch: bigint): Promise<void> {
    const held = this.hosts.get(host);
    if (held?.epoch === epoch) held.expiresAt = Date.now();
  }

  async load(host: string, takeOver: boolean) {
    if (takeOver)
      for (const [name, { expiresAt }] of this.hosts)
        if (name !== host && expiresAt <= Date.now()) {
          this.hosts.delete(name);
          for (const row of [...this.work.values(), ...this.finished.values()]) if (row.host === name) row.host = host;
        }
    return {
      work: [...this.work.values()].filter((row) => row.host === host),
      finished: [...this.finished.values()].filter((row) => row.host === host),
      fences: [...this.fences].map(([key, generation]) => ({ key, generation })),
    };
  }

  async abortsOf(host: string) {
    return [...this.work.values()]
      .filter((row) => row.host === host && row.abortReason !== undefined)
      .map(({ key, generation, abortReason }) => ({ key, generation, reason: abortReason as string }));
  }

  async add(tx: Transaction, host: string, rows: readonly WorkRow[]): Promise<void> {
    this.inTransaction(tx, rows.length, () => {
      for (const row of rows) {
        const there = this.work.get(row.key);
        if (!there || there.generation < row.generation) this.work.set(row.key, { ...row, host });
      }
    });
  }

  async requestAbort(tx: Transaction, aborts: readonly { key: string; generation: number; reason: string }[]) {
    this.inTransaction(tx, aborts.length, () => {
      for (const { key, generation, reason } of aborts) {
        const row = this.work.get(key);
        if (row && row.generation <= generation) row.abortReason = reason;
        this.fences.set(key, Math.max(generation, this.fences.get(key) ?? 0));
      }
    });
  }

  async addFinished(tx: Transaction, host: string, batches: readonly FinishedBatch[]): Promise<void> {
    this.inTransaction(tx, batches.length, () => {
      for (const batch of batches) this.finished.set(batch.id, { ...batch, host });
    });
  }

  async fence(tx: Transaction, fences: readonly Fence[]): Promise<void> {
    this.inTransaction(tx, fences.length, () => {
      for (const { key, generation } of fences) this.fences.set(key, Math.max(generation, this.fences.get(key) ?? 0));
    });
  }

  async end(ended: readonly Fence[]): Promise<void> {
    this.statements++;
    for (const { key, generation } of ended) {
      const row = this.work.get(key);
      if (row && row.generation <= generation) this.work.delete(key);
      this.fences.set(key, Math.max(generation, this.fences.get(key) ?? 0));
    }
  }

  async deleteFinished(ids: readonly string[]): Promise<void> {
    this.statements++;
    for (const id of ids) this.finished.delete(id);
  }

  async prune(): Promise<void> {
    this.fences.clear();
  }

  private inTransaction(tx: Transaction, count: number, effect: () => void): void {
    if (count === 0) return;
    this.statements++;
    tx.afterCommit(effect);
  }
}
