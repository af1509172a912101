import type { Transaction } from '@aloft/database';
import { errorMapping, toAloftError } from '@aloft/errors';
import type { Logger } from '@aloft/telemetry';
import { Backoff } from '../backoff.js';
import type {
  ConsumerOptions,
  HeldLease,
  IncomingMessage,
  ParkedMessage,
  PositionStore,
  ReadBatch,
  StreamReader,
} from '../port.js';
import { gather, gatherTime, urgentTime } from './gather.js';
import type { LoadedParkingStore } from './parking.js';
import { LeaseLostError } from './positions.js';
import { RepeatableMessages } from './repeatable-messages.js';

export interface WorkerEnvironment {
  options: ConsumerOptions;
  positions: PositionStore;
  parking: LoadedParkingStore;
  log: Logger;
  /** The position moved. */
  moved(): void;
}

/** Why a worker ended: it was asked to, another process owns the stream, or it can't go on. */
export type WorkerEnd = { kind: 'closed' } | { kind: 'lost' } | { kind: 'failed'; error: unknown };

/** How long a position waits for others before it is stored, where nothing else is. */
const storeMs = 200;

/** Works one stream off while its lease is held: one batch at a time, each with the position in one transaction. */
export class StreamWorker {
  readonly #stop = new AbortController();
  /** One thing at a time: a batch, or the release of a parked key. */
  #turn: Promise<unknown> = Promise.resolve();
  readonly #repeatable: RepeatableMessages;
  #lost = false;
  /** What the last batch took. */
  #tookMs = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly ended: Promise<WorkerEnd>;

  constructor(
    readonly lease: HeldLease,
    readonly reader: StreamReader,
    public position: bigint,
    readonly environment: WorkerEnvironment,
  ) {
    this.#repeatable = new RepeatableMessages(this.#stop.signal, () => this.#passSoon());
    this.ended = this.#run();
  }

  /** The position, past repeats that the driver left out. */
  get reached(): bigint {
    return this.reader.reach(this.position);
  }

  async #run(): Promise<WorkerEnd> {
    const { maxBatch = 500 } = this.environment.options;
    try {
      for (;;) {
        const batch = await this.#next(maxBatch);
        if (this.#lost) return { kind: 'lost' };
        if (batch === undefined || this.#stop.signal.aborted) return { kind: 'closed' };
        const rest = this.#takeRepeatable(batch.messages);
        if (rest.length > 0) {
          // Their position lies before this batch's.
          await this.#repeatable.done();
          const began = performance.now();
          await this.#inTurn(() => this.#work(rest));
          this.#tookMs = performance.now() - began;
        }
        batch.acknowledge();
        if (this.#stop.signal.aborted) return { kind: 'closed' };
      }
    } catch (error) {
      if (this.#stop.signal.aborted) return { kind: 'closed' };
      return error instanceof LeaseLostError ? { kind: 'lost' } : { kind: 'failed', error };
    } finally {
      await this.reader.close();
    }
  }

  async #next(maxBatch: number): Promise<ReadBatch | undefined> {
    const { gatherMs, maxGatherMs, urgent } = this.environment.options;
    const batch = await this.reader.next(maxBatch);
    if (!batch || !gatherMs) return batch;
    const times = { gatherMs, maxGatherMs, tookMs: this.#tookMs };
    return gather(this.reader, batch, {
      ...{ maxBatch, urgent },
      ...{ gatherMs: gatherTime(times), urgentMs: urgentTime(times) },
    });
  }

  /** Returns what is left for `handle`. */
  #takeRepeatable(messages: readonly IncomingMessage[]): readonly IncomingMessage[] {
    const { options, parking } = this.environment;
    if (!options.handleRepeatable || messages.some(({ envelope }) => parking.isParked(envelope.key))) return messages;
    const taken = options.handleRepeatable(messages);
    if (!taken) return messages;
    this.#repeatable.add(messages[taken.count - 1]!.position!, taken.done);
    return messages.slice(taken.count);
  }

  /** Stores the position of what was done without a transaction: a failure repeats nothing but this. */
  #passSoon(pauseMs = storeMs): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (!this.#stop.signal.aborted) void this.#pass();
    }, pauseMs);
  }

  async #pass(): Promise<void> {
    try {
      await this.#inTurn(() => this.#store());
    } catch (error) {
      if (error instanceof LeaseLostError) {
        this.#lost = true;
        await this.reader.close();
        return;
      }
      this.environment.log.warn({ err: error, stream: this.lease.stream }, 'could not store a position; tried again');
      this.#passSoon(1_000);
    }
  }

  async #store(): Promise<void> {
    const { options, positions } = this.environment;
    const { stream, epoch } = this.lease;
    const to = this.#repeatable.passed;
    if (to === undefined || to <= this.position) return;
    const move = { stream, from: this.position, to, epoch, mark: this.reader.mark(to) };
    await options.database.transaction(async (tx) => positions.advance(tx, [move]));
    this.position = to;
    this.#repeatable.stored(to);
    this.environment.moved();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined); // Its own caller gets the error.
    return mine;
  }

  /** Handles messages until all are applied or parked. A failing batch is halved until the poisonous message is alone. */
  async #work(messages: readonly IncomingMessage[]): Promise<void> {
    const pieces: (readonly IncomingMessage[])[] = [messages];
    const backoff = new Backoff();
    for (let piece = pieces.pop(); piece !== undefined; piece = pieces.pop()) {
      if (this.#stop.signal.aborted) return;
      try {
        await this.#apply(piece);
        backoff.reset();
        continue;
      } catch (thrown) {
        if (thrown instanceof LeaseLostError) throw thrown;
        const error = toAloftError(thrown);
        if (errorMapping[error.code].bus === 'retry') {
          const { stream } = this.lease;
          this.environment.log.warn(
            { err: error, stream, messages: piece.length },
            'a batch failed; it is tried again',
          );
          pieces.push(piece);
          await backoff.wait(this.#stop.signal);
          continue;
        }
        if (piece.length > 1) {
          const middle = piece.length >> 1;
          pieces.push(piece.slice(middle), piece.slice(0, middle));
          continue;
        }
        // Parking is a commit too, and may have to be tried again.
        const poison: readonly IncomingMessage[] = piece;
        await this.#until(() => this.#apply(poison, error.message), backoff);
      }
    }
  }

  async #until(work: () => Promise<void>, backoff: Backoff): Promise<void> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (error instanceof LeaseLostError || this.#stop.signal.aborted) throw error;
        this.environment.log.warn({ err: error, stream: this.lease.stream }, 'could not park; it is tried again');
        await backoff.wait(this.#stop.signal);
      }
    }
  }

  /**
   * One transaction: what the handler does with the messages whose keys are not parked, the others queued behind their
   * keys, and the position. With `poison` the message is not handled but parked with that reason.
   */
  async #apply(messages: readonly IncomingMessage[], poison?: string): Promise<void> {
    const { options, positions, parking } = this.environment;
    const { stream, epoch } = this.lease;
    const from = this.position;
    const to = messages.at(-1)!.position!;
    // After a commit whose answer was lost, the stored position may be ahead of ours: then this is refused, and the next
    // owner (perhaps we again) begins where it stands.
    const handled: IncomingMessage[] = [];
    const parked: ParkedMessage[] = [];
    for (const message of messages) {
      const behind = parking.isParked(message.envelope.key);
      if (poison === undefined && !behind) {
        handled.push(message);
        continue;
      }
      const reason = behind ? 'waits behind an earlier message of its key that is parked' : poison!;
      parked.push({ group: options.group, message, reason, at: new Date() });
    }
    await options.database.transaction(async (tx) => {
      if (handled.length > 0) await options.handle(handled, tx);
      for (const message of parked) await parking.park(tx, message);
      positions.advance(tx, [{ stream, from, to, epoch, mark: this.reader.mark(to) }]);
    });
    this.position = to;
    this.#repeatable.stored(to);
    this.environment.moved();
    if (poison !== undefined) for (const message of parked) this.#announce(message);
  }

  #announce(parked: ParkedMessage): void {
    const { stream, position, envelope } = parked.message;
    this.environment.log.error(
      { stream, position: String(position), key: envelope.key, id: envelope.id, reason: parked.reason },
      'a message was parked with its key',
    );
    this.environment.options.onParked?.(parked);
  }

  /** Handles a parked key's messages again, all in one transaction; they stay parked if that fails. */
  release(key: string): Promise<number> {
    return this.#inTurn(async () => {
      const { options, positions, parking } = this.environment;
      const { stream, epoch } = this.lease;
      let count = 0;
      await options.database.transaction(async (tx: Transaction) => {
        const parked = await parking.take(tx, key);
        count = parked.length;
        if (count > 0)
          await options.handle(
            parked.map(({ message }) => message),
            tx,
          );
        positions.advance(tx, [{ stream, from: this.position, to: this.position, epoch }]);
      });
      return count;
    });
  }

  /** Stops after the transaction under way. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.reader.close();
    await this.ended;
    clearTimeout(this.#timer);
    // Else they come again, which is harmless.
    await this.#inTurn(() => this.#store()).catch(() => undefined);
  }
}
