import type { Transaction } from '@aloft/database';
import { AloftError } from '@aloft/errors';
import type {
  AbortRequest,
  Added,
  Fence,
  FinishedBatch,
  Holder,
  Memory,
  Renewal,
  WorkRow,
  WorkStore,
} from '../host/work-store.js';

/**
 * A {@link WorkStore} that outlives hosts within one test; writes count only when their transaction commits. One backend,
 * its hosts one after the other: what several of them do at once is for the database's own store.
 */
export class MemoryWorkStore implements WorkStore {
  readonly work = new Map<string, WorkRow & { host: string }>();
  readonly finished = new Map<string, FinishedBatch & { host: string }>();
  readonly fences = new Map<string, number>();
  readonly hosts = new Map<string, { epoch: bigint; expiresAt: number }>();
  statements = 0;
  private epoch = 0n;

  async acquire(host: string, leaseMs: number): Promise<bigint> {
    const epoch = ++this.epoch;
    this.hosts.set(host, { epoch, expiresAt: Date.now() + leaseMs });
    return epoch;
  }

  async renew({ name, epoch }: Holder, leaseMs: number): Promise<Renewal> {
    const held = this.hosts.get(name);
    if (!held) return { state: 'taken' };
    if (held.epoch !== epoch) return { state: 'fenced' };
    held.expiresAt = Date.now() + leaseMs;
    return { state: 'held' };
  }

  async release({ name, epoch }: Holder, forget = false): Promise<void> {
    const held = this.hosts.get(name);
    if (held?.epoch !== epoch) return;
    if (forget) this.hosts.delete(name);
    else held.expiresAt = Date.now();
  }

  async load(host: string) {
    return {
      finished: this.of(host).finished,
      fences: [...this.fences].map(([key, generation]) => ({ key, generation })),
    };
  }

  async take({ name }: Holder, marginMs: number) {
    const lost = [...this.hosts]
      .filter(([other, { expiresAt }]) => other !== name && expiresAt < Date.now() - marginMs)
      .map(([other]) => other);
    for (const host of lost) this.hosts.delete(host);
    const free = (host: string) => host === '' || lost.includes(host);
    const work = [...this.work.values()].filter((row) => free(row.host));
    const finished = [...this.finished.values()].filter((batch) => free(batch.host));
    for (const row of work) {
      if (row.host !== '') row.losses = (row.losses ?? 0) + 1;
      row.host = name;
    }
    for (const batch of finished) batch.host = name;
    return { work, finished, lost, more: false };
  }

  async held(host: string) {
    return this.of(host).work.map(({ key, generation, abortReason, losses = 0, remembered }) => ({
      key,
      generation,
      abortReason,
      losses,
      remembered: remembered !== undefined,
    }));
  }

  async rows(host: string, keys: readonly string[]): Promise<WorkRow[]> {
    return this.of(host).work.filter(({ key }) => keys.includes(key));
  }

  async abortsOf(host: string) {
    return this.of(host)
      .work.filter((row) => row.abortReason !== undefined)
      .map(({ key, generation, abortReason }) => ({ key, generation, reason: abortReason as string }));
  }

  async add(tx: Transaction, holder: Holder, rows: readonly WorkRow[]): Promise<Added> {
    this.checkLease(holder);
    this.inTransaction(tx, rows.length, () => {
      for (const row of rows) {
        const there = this.work.get(row.key);
        if (!there || there.generation < row.generation) this.work.set(row.key, { ...row, host: holder.name });
      }
    });
    return { refused: new Set(), waiting: new Map() };
  }

  async requestAbort(tx: Transaction, host: string, aborts: readonly AbortRequest[]): Promise<string[]> {
    this.inTransaction(tx, aborts.length, () => {
      for (const { key, generation, reason } of aborts) {
        const row = this.work.get(key);
        if (row && row.generation <= generation) row.abortReason = reason;
        this.fences.set(key, Math.max(generation, this.fences.get(key) ?? 0));
      }
    });
    return aborts.map(({ key }) => this.work.get(key)?.host ?? host).filter((other) => other !== host && other !== '');
  }

  async addFinished(tx: Transaction, holder: Holder, batches: readonly FinishedBatch[]): Promise<void> {
    if (batches.length > 0) this.checkLease(holder);
    this.inTransaction(tx, batches.length, () => {
      for (const batch of batches) this.finished.set(batch.id, { ...batch, host: holder.name });
    });
  }

  async recordEnds(holder: Holder, ends: readonly { key: string; generation: number; report: Uint8Array }[]) {
    this.statements++;
    const mine = ends.filter(({ key, generation }) => {
      const row = this.work.get(key);
      return row?.generation === generation && row.host === holder.name;
    });
    for (const { key, report } of mine) (this.work.get(key) as WorkRow).report = report;
    return new Set(mine.map(({ key }) => key));
  }

  async remember(holder: Holder, memories: readonly Memory[]) {
    this.statements++;
    const mine = memories.filter(({ key, generation }) => {
      const row = this.work.get(key);
      return (
        row?.generation === generation && row.host === holder.name && this.hosts.get(row.host)?.epoch === holder.epoch
      );
    });
    for (const { key, state } of mine) (this.work.get(key) as WorkRow).remembered = state;
    return new Set(mine.map(({ key }) => key));
  }

  async give(holder: Holder, to: string, keys: readonly string[]) {
    const given = this.of(holder.name).work.filter(({ key }) => this.hosts.has(to) && keys.includes(key));
    for (const row of given) row.host = to;
    return new Set(given.map(({ key }) => key));
  }

  async handOver({ name }: Holder, keys?: readonly string[]): Promise<void> {
    for (const row of this.of(name).work) if (!keys || keys.includes(row.key)) row.host = '';
    if (!keys) for (const batch of this.of(name).finished) batch.host = '';
  }

  async superseded(): Promise<WorkRow[]> {
    return [];
  }

  async existing(keys: readonly string[]): Promise<ReadonlySet<string>> {
    return new Set(keys.filter((key) => this.work.has(key)));
  }

  async stillEnding(): Promise<ReadonlySet<string>> {
    return new Set();
  }

  async supersededEnded(): Promise<void> {
    this.statements++;
  }

  async end(host: string, ended: readonly Fence[]): Promise<void> {
    this.statements++;
    for (const { key, generation } of ended) {
      const row = this.work.get(key);
      if (row && row.host === host && row.generation <= generation) this.work.delete(key);
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

  private of(host: string) {
    return {
      work: [...this.work.values()].filter((row) => row.host === host),
      finished: [...this.finished.values()].filter((batch) => batch.host === host),
    };
  }

  private checkLease({ name, epoch }: Holder): void {
    if (this.hosts.get(name)?.epoch !== epoch) throw new AloftError('ABORTED', `host ${name} lost its lease`);
  }

  private inTransaction(tx: Transaction, count: number, effect: () => void): void {
    if (count === 0) return;
    this.statements++;
    tx.afterCommit(effect);
  }
}
