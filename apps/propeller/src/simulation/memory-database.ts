import type { CommitStatement, Database, Transaction } from '@aloft/database';
import { DatabaseError } from '@aloft/database';
import { internal } from '@aloft/errors';
import type { AtomicTransaction } from '@aloft/bus/testing';
import type { SimProcess } from './sim-process.js';

/** Collects what a transaction wants; all of it happens at the moment of its commit, or nothing. */
export class MemoryTransaction implements AtomicTransaction {
  private readonly checks: (() => void)[] = [];
  private readonly effects: (() => void)[] = [];
  private readonly after: (() => void)[] = [];

  /** Throws at the commit if the transaction may not happen. */
  demand(check: () => void): void {
    this.checks.push(check);
  }

  atomically(effect: () => void): void {
    this.effects.push(effect);
  }

  afterCommit(effect: () => void): void {
    this.after.push(effect);
  }

  commit(): void {
    for (const check of this.checks) check();
    for (const effect of this.effects) effect();
  }

  /** What the committer does when it has heard of its commit. */
  heard(): void {
    for (const effect of this.after) effect();
  }

  get client(): never {
    throw internal('simulation: a transaction in memory has no connection');
  }

  query(): never {
    throw internal('simulation: a transaction in memory speaks no SQL');
  }

  send(): never {
    throw internal('simulation: a transaction in memory speaks no SQL');
  }

  withCommit(_make: () => CommitStatement): never {
    throw internal('simulation: a transaction in memory speaks no SQL');
  }
}

/** The transaction of a call, as the memory's repositories take it. */
export function memoryOf(tx: Transaction): MemoryTransaction {
  if (tx instanceof MemoryTransaction) return tx;
  throw internal('simulation: this is not a transaction in memory');
}

const outcomeUnknown = (): DatabaseError =>
  new DatabaseError('UNAVAILABLE', 'the connection was lost while committing', undefined, undefined, true, undefined);

/** A process' connections to the database. */
export class MemoryDatabase implements Database {
  readonly schema = 'propeller';
  readonly url = 'memory:';

  constructor(private readonly process: SimProcess) {}

  async transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    const tx = new MemoryTransaction();
    await this.process.call('database', 'BEGIN', () => undefined);
    const result = await work(tx);
    await this.process.call('database', 'COMMIT', () => tx.commit(), outcomeUnknown);
    tx.heard();
    return result;
  }

  query(): never {
    throw internal('simulation: a database in memory speaks no SQL');
  }

  async close(): Promise<void> {
    // Nothing is open.
  }
}
