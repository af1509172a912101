import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { AloftError, type ErrorCode, unavailable } from '@aloft/errors';
import { compileEncoded, missingEntities, type EncodedDynamic, type MissingEntities } from './compile-dynamic.js';

export type Call = { kind: 'missing'; futures: Uint8Array } | { kind: 'compile'; input: EncodedDynamic };

export interface Reply {
  id: number;
  value?: unknown;
  error?: { code: ErrorCode; message: string };
}

/** Above this, decoding and compiling leave the event loop. */
const maxOnLoopBytes = 256 * 1024;

/** Compiles what dynamic tasks generated: small graphs here, large ones in a thread that is started when the first one comes. */
export class CompilerThread {
  private worker: Worker | undefined;
  private lastCall = 0;
  private readonly calls = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>();

  constructor(private readonly script: string | undefined = builtWorker()) {}

  async missingOf(futures: Uint8Array): Promise<MissingEntities> {
    if (this.onLoop(futures)) return missingEntities(futures);
    return (await this.call({ kind: 'missing', futures })) as MissingEntities;
  }

  async compileDynamic(input: EncodedDynamic): Promise<Uint8Array> {
    if (this.onLoop(input.futures)) return compileEncoded(input);
    return (await this.call({ kind: 'compile', input })) as Uint8Array;
  }

  async stop(): Promise<void> {
    await this.worker?.terminate();
  }

  private onLoop(bytes: Uint8Array): boolean {
    return bytes.length <= maxOnLoopBytes || this.script === undefined;
  }

  private call(call: Call): Promise<unknown> {
    this.worker ??= this.start(this.script!);
    const id = ++this.lastCall;
    return new Promise((resolve, reject) => {
      this.calls.set(id, { resolve, reject });
      this.worker!.postMessage({ id, call });
    });
  }

  private start(script: string): Worker {
    const worker = new Worker(script);
    worker.unref();
    worker.on('message', ({ id, value, error }: Reply) => {
      const waiting = this.calls.get(id);
      this.calls.delete(id);
      if (error) waiting?.reject(new AloftError(error.code, error.message));
      else waiting?.resolve(value);
    });
    // A thread that dies (out of memory) takes its calls with it: they are tried again in a new one.
    const lost = (cause: unknown) => {
      if (this.worker === worker) this.worker = undefined;
      const waiting = [...this.calls.values()];
      this.calls.clear();
      for (const { reject } of waiting) reject(unavailable('the compiler thread ended', { cause }));
    };
    worker.on('error', lost);
    worker.on('exit', lost);
    return worker;
  }
}

/** The worker's built file beside this one; run from source (tests), everything stays on the loop. */
function builtWorker(): string | undefined {
  const path = fileURLToPath(new URL('./compile-worker.js', import.meta.url));
  return existsSync(path) ? path : undefined;
}
