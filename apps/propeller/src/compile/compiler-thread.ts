import { builtScript, CallThread } from '@aloft/service/thread';
import type { Engine } from '../runs/engine.js';
import { compileEncoded, missingEntities, type EncodedDynamic, type MissingEntities } from './compile-dynamic.js';

export type Call =
  | { kind: 'missing'; futures: Uint8Array }
  | { kind: 'compile'; input: EncodedDynamic }
  | { kind: 'pack'; digest: string; closure: Uint8Array };

/** Above this, decoding and compiling leave the event loop. */
export const maxOnLoopBytes = 256 * 1024;

/** Compiles graphs, and what dynamic tasks generated: small ones here, large ones in a thread that is started when the first one comes. */
export class CompilerThread {
  private readonly thread: CallThread<Call> | undefined;

  constructor(
    private readonly engine: Engine,
    script = builtScript('./compile-worker.js', import.meta.url),
  ) {
    this.thread = script === undefined ? undefined : new CallThread(script);
  }

  async missingOf(futures: Uint8Array): Promise<MissingEntities> {
    if (!this.thread || isSmall(futures)) return missingEntities(futures);
    return (await this.thread.call({ kind: 'missing', futures })) as MissingEntities;
  }

  async compileDynamic(input: EncodedDynamic): Promise<Uint8Array> {
    if (!this.thread || isSmall(input.futures)) return compileEncoded(input);
    return (await this.thread.call({ kind: 'compile', input })) as Uint8Array;
  }

  /** The compact form of a large closure's graph. */
  async packGraph(digest: string, closure: Uint8Array): Promise<Uint8Array> {
    if (!this.thread) return this.engine.packGraph(digest, closure);
    return (await this.thread.call({ kind: 'pack', digest, closure })) as Uint8Array;
  }

  async stop(): Promise<void> {
    await this.thread?.stop();
  }
}

const isSmall = (bytes: Uint8Array): boolean => bytes.length <= maxOnLoopBytes;
