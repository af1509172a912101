import { AloftError, internal } from '@aloft/errors';
import type { Origin } from './headers.js';

interface Seen {
  sequence: bigint;
  /** The latest time of a message up to that one: the publisher's clock may go back (another database after a failover). */
  at: number;
}

/** Messages of one source that lie next to each other in the log, with sequences that do so too. */
interface Run {
  source: string;
  firstPosition: bigint;
  firstSequence: bigint;
  count: bigint;
  at: number;
}

/**
 * What has been seen of each source up to a position: a fold of the log. A relay that died or was paused may have sent
 * messages again, even long after its successor went on; each is known by its sequence being no higher than the last.
 */
export class Marks {
  /** Up to the last position that was read. */
  readonly #seen: Map<string, Seen>;
  /** Up to a position that is stored for certain, and what came after it. */
  readonly #base: Map<string, Seen>;
  #basePosition: bigint;
  #runs: Run[] = [];

  constructor(position: bigint, mark: string | undefined) {
    this.#base = decode(mark);
    this.#seen = new Map(this.#base);
    this.#basePosition = position;
  }

  /**
   * Takes a message in; false when it is a repeat. DATA_LOSS when messages before it are missing; OUT_OF_RANGE when its
   * source has gone back in time.
   */
  take(position: bigint, { source, sequence, at: published }: Origin, where: string): boolean {
    const last = this.#seen.get(source);
    const at = Math.max(published, last?.at ?? 0);
    if (last) {
      if (sequence <= last.sequence) {
        if (published > last.at)
          throw new AloftError(
            'OUT_OF_RANGE',
            `${where}: source "${source}" publishes number ${sequence} after ${last.sequence}, and later than it: its outbox ` +
              'has gone back (was its database restored from a backup?). Reset its bus_outbox_streams.head to above ' +
              `${last.sequence}, and go on with this stream after the messages that were numbered twice`,
          );
        return false;
      }
      if (sequence > last.sequence + 1n)
        throw new AloftError(
          'DATA_LOSS',
          `${where}: numbers ${last.sequence + 1n} to ${sequence - 1n} of source "${source}" are missing, Kafka has lost ` +
            'what it had acknowledged (unclean leader election, or too few replicas?)',
        );
    }
    this.#seen.set(source, { sequence, at });
    const run = this.#runs.at(-1);
    if (
      run?.source === source &&
      run.firstPosition + run.count === position &&
      run.firstSequence + run.count === sequence
    ) {
      run.count++;
      run.at = at;
    } else this.#runs.push({ source, firstPosition: position, firstSequence: sequence, count: 1n, at });
    return true;
  }

  /** What is stored with a position: of every source, its last sequence (and a time not before that message's). */
  at(position: bigint): string | undefined {
    if (position < this.#basePosition)
      throw internal(`position ${position} is below ${this.#basePosition}, which is stored already`);
    const seen = new Map(this.#base);
    this.#fold(seen, position);
    return seen.size === 0 ? undefined : encode(seen);
  }

  /** Positions below will not be asked for any more. */
  settle(position: bigint): void {
    if (position <= this.#basePosition) return;
    const done = this.#fold(this.#base, position);
    this.#basePosition = position;
    if (done > 0) this.#runs.splice(0, done);
  }

  /** Returns how many runs lie wholly below. */
  #fold(into: Map<string, Seen>, position: bigint): number {
    for (const [i, { source, firstPosition, firstSequence, count, at }] of this.#runs.entries()) {
      const within = position - firstPosition + 1n;
      if (within <= 0n) return i;
      into.set(source, { sequence: firstSequence + (within < count ? within : count) - 1n, at });
      if (within < count) return i;
    }
    return this.#runs.length;
  }
}

function decode(mark: string | undefined): Map<string, Seen> {
  const entries = Object.entries(JSON.parse(mark ?? '{}') as Record<string, [string, number]>);
  return new Map(entries.map(([source, [sequence, at]]) => [source, { sequence: BigInt(sequence), at }]));
}

const encode = (seen: ReadonlyMap<string, Seen>): string =>
  JSON.stringify(Object.fromEntries([...seen].map(([source, { sequence, at }]) => [source, [String(sequence), at]])));
