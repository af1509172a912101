import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { AloftError, unavailable } from '@aloft/errors';
import type { Reply } from './serve-calls.js';

/** After so long without a call the thread ends: what it took of memory is given back. */
const idleMs = 10_000;

/**
 * A thread for work that would keep the event loop from everybody else. It starts with the first call, works one call after the other, and
 * ends when there were none for a while.
 */
export class CallThread<C> {
  private worker: Worker | undefined;
  private lastCall = 0;
  private idle: NodeJS.Timeout | undefined;
  private readonly calls = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>();

  /** `script`: see {@link builtScript}; its end of the line is `serveCalls`. */
  constructor(private readonly script: string) {}

  /** Throws what the call threw, as its code and message; UNAVAILABLE if the thread ended (of memory), after which it may be tried again. */
  call(call: C): Promise<unknown> {
    clearTimeout(this.idle);
    this.worker ??= this.start();
    const id = ++this.lastCall;
    return new Promise((resolve, reject) => {
      this.calls.set(id, { resolve, reject });
      this.worker!.postMessage({ id, call });
    });
  }

  async stop(): Promise<void> {
    clearTimeout(this.idle);
    await this.worker?.terminate();
  }

  private start(): Worker {
    const worker = new Worker(this.script);
    worker.unref();
    worker.on('message', ({ id, value, error }: Reply) => {
      const waiting = this.calls.get(id);
      this.calls.delete(id);
      if (this.calls.size === 0) this.endWhenIdle(worker);
      if (error) waiting?.reject(new AloftError(error.code, error.message));
      else waiting?.resolve(value);
    });
    // A thread that dies (out of memory) takes its calls with it: they are tried again in a new one.
    const lost = (cause: unknown) => {
      if (this.worker !== worker) return;
      this.worker = undefined;
      const waiting = [...this.calls.values()];
      this.calls.clear();
      for (const { reject } of waiting) reject(unavailable('the thread for large work ended', { cause }));
    };
    worker.on('error', lost);
    worker.on('exit', lost);
    return worker;
  }

  private endWhenIdle(worker: Worker): void {
    clearTimeout(this.idle);
    this.idle = setTimeout(() => {
      this.worker = undefined;
      void worker.terminate();
    }, idleMs).unref();
  }
}

/** The built file of a worker beside the module that asks; `undefined` where that runs from source (tests), and so can have no thread. */
export function builtScript(name: string, besideUrl: string): string | undefined {
  const path = fileURLToPath(new URL(name, besideUrl));
  return existsSync(path) ? path : undefined;
}
