import { errorMapping, failedPrecondition, toAloftError, unavailable } from '@aloft/errors';
import { Backoff } from '../backoff.js';
import type { Bus, Consumer, ConsumerOptions, IncomingMessage, Stream, StreamReader, StreamStatus } from '../port.js';
import type { ConsumerDriver } from './consumer.js';
import { Progress } from './progress.js';

interface Tailed {
  stream: Stream;
  position: bigint;
  reader: StreamReader;
}

/**
 * Reads all streams of a topic from now on and stores nothing. What its handler can't take is tried again when that may
 * help, and otherwise logged and left out: a view has no place to park it.
 */
export class TailConsumer implements Consumer {
  readonly #progress = new Progress();
  readonly #stop = new AbortController();
  readonly #began: Promise<void>;
  #tailed: Tailed[] = [];
  #running: Promise<void>[] = [];
  #closed: Promise<void> | undefined;

  constructor(
    readonly options: ConsumerOptions,
    readonly bus: Bus,
    readonly driver: ConsumerDriver,
  ) {
    this.#began = this.#begin();
  }

  async #begin(): Promise<void> {
    const { topic } = this.options;
    const streams = Array.from({ length: this.bus.partitions(topic) }, (_, partition) => ({ topic, partition }));
    const backoff = new Backoff();
    while (!this.#closed) {
      try {
        const heads = await this.bus.heads(streams);
        if (this.#closed) return;
        this.#tailed = streams.map((stream, i) => ({
          stream,
          position: heads[i]!,
          reader: this.bus.read(stream, heads[i]!),
        }));
        this.#running = this.#tailed.map((tailed) => this.#tail(tailed));
        return;
      } catch (error) {
        this.driver.log.warn({ err: toAloftError(error), topic }, 'could not begin to tail; tried again');
        await backoff.wait(this.#stop.signal);
      }
    }
  }

  async #tail(tailed: Tailed): Promise<void> {
    const { maxBatch = 500 } = this.options;
    try {
      for (let batch = await tailed.reader.next(maxBatch); batch; batch = await tailed.reader.next(maxBatch)) {
        await this.#handle(batch.messages);
        batch.acknowledge();
        tailed.position = batch.messages.at(-1)!.position!;
        this.#progress.moved();
        if (this.#stop.signal.aborted) return;
      }
    } catch (error) {
      this.driver.log.error({ err: error, stream: tailed.stream, group: this.options.group }, 'the tail stops');
      this.#progress.fail(error);
      this.options.onStopped?.(error);
      void this.close();
    }
  }

  async #handle(messages: readonly IncomingMessage[]): Promise<void> {
    const pieces: (readonly IncomingMessage[])[] = [messages];
    const backoff = new Backoff();
    for (let piece = pieces.pop(); piece !== undefined && !this.#stop.signal.aborted; piece = pieces.pop()) {
      try {
        await this.options.handle(piece, undefined);
        backoff.reset();
      } catch (thrown) {
        const error = toAloftError(thrown);
        if (errorMapping[error.code].bus === 'retry') {
          pieces.push(piece);
          await backoff.wait(this.#stop.signal);
        } else if (piece.length > 1) {
          const middle = piece.length >> 1;
          pieces.push(piece.slice(middle), piece.slice(0, middle));
        } else {
          const message = piece[0]!;
          this.driver.log.error(
            { err: error, stream: message.stream, id: message.envelope.id },
            'a tail left a message out',
          );
          this.options.onParked?.({ group: this.options.group, message, reason: error.message, at: new Date() });
        }
      }
    }
  }

  async caughtUp(): Promise<void> {
    await this.#began;
    if (this.#closed) throw unavailable(`the consumer of group ${this.options.group} is closed`);
    const heads = await this.bus.heads(this.#tailed.map(({ stream }) => stream));
    // Repeats that a driver leaves out move nothing but what is reached.
    const look = setInterval(() => this.#progress.moved(), 50);
    try {
      await this.#progress.until(() =>
        this.#tailed.every(({ position, reader }, i) => reader.reach(position) >= heads[i]!),
      );
    } finally {
      clearInterval(look);
    }
  }

  status(): StreamStatus[] {
    return this.#tailed.map(({ stream, position, reader }) => ({ stream, position, head: reader.head }));
  }

  release(key: string): Promise<void> {
    return Promise.reject(
      failedPrecondition(`group ${this.options.group} tails: it parks nothing, key "${key}" neither`),
    );
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#tailed.map(({ reader }) => reader.close()));
    await this.#began;
    await Promise.all(this.#tailed.map(({ reader }) => reader.close()));
    await Promise.all(this.#running.map((running) => running.catch(() => undefined)));
    this.#progress.fail(unavailable(`the consumer of group ${this.options.group} is closed`));
  }
}
