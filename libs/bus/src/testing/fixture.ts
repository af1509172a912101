import type { Database } from '@aloft/database';
import type { Bus, IncomingMessage, OutgoingMessage } from '../port.js';
import { envelope } from '../envelope.js';

/** One installation of a driver, made for one test. */
export interface BusFixture {
  /** This process' bus. */
  bus: Bus;
  /** The bus of another process, as far as the driver can tell. */
  openBus(): Bus;
  /** The consumer's own schema: `busMigrations` and {@link contractTables}. */
  database: Database;
  openDatabase(): Database;
  /** Environment from which `testing/consumer-process.ts` opens the same installation. */
  environment: Record<string, string>;
  drop(): Promise<void>;
}

export interface BusDriver {
  name: string;
  /** Delivered messages are always stored. */
  storesDelivered?: boolean;
  /** Its buses can't be shared with another process of the operating system. */
  oneProcess?: boolean;
  /** `partitions` of every topic (default 1). */
  open(options?: { partitions?: number }): Promise<BusFixture>;
}

/** What consumers of the contract did: one row an effect, in order, repeats included. */
export const contractTables = {
  name: 'contract tables',
  sql: 'CREATE TABLE applied (n serial PRIMARY KEY, id text NOT NULL, key text NOT NULL, position int8 NOT NULL)',
};

export function message(
  topic: string,
  key: string,
  id: string,
  more: { size?: number; minReaderVersion?: number } = {},
): OutgoingMessage {
  return {
    topic,
    envelope: envelope({
      id,
      key,
      type: 'aloft.test.Message',
      payload: Buffer.alloc(more.size ?? 8, 1),
      minReaderVersion: more.minReaderVersion,
    }),
  };
}

export function publish(bus: Bus, database: Database, messages: readonly OutgoingMessage[]): Promise<void> {
  return database.transaction((tx) => bus.publish(tx, messages));
}

/** The handler of the contract: writes what it got into `applied`. */
export async function apply(
  messages: readonly IncomingMessage[],
  tx: Pick<Database, 'query'> | undefined,
): Promise<void> {
  await tx!.query('INSERT INTO applied (id, key, position) SELECT * FROM unnest($1::text[], $2::text[], $3::int8[])', [
    messages.map((message) => message.envelope.id),
    messages.map((message) => message.envelope.key),
    messages.map((message) => message.position),
  ]);
}

export async function applied(database: Database): Promise<string[]> {
  const { rows } = await database.query<{ id: string }>('SELECT id FROM applied ORDER BY n');
  return rows.map((row) => row.id);
}

export const numbered = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, i) => `m${String(from + i).padStart(5, '0')}`);

/** A promise with its handles. */
export function deferred<T = void>(): { promise: Promise<T>; resolve(value: T): void; reject(error: unknown): void } {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
}

/** Small seeded generator (mulberry32), 0 ≤ x < 1. */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
