import { AsyncLocalStorage } from 'node:async_hooks';
import type { TraceContext } from './trace-context.js';

/** What code runs for. */
export interface Ambient {
  readonly trace: TraceContext | undefined;
  /** The rpc, which `@aloft/rpc` knows. */
  readonly call: unknown;
}

/** One for all that is carried along: on Node 20 each promise of the process pays for each store that there is. */
const storage = new AsyncLocalStorage<Ambient>();

export function ambient(): Ambient | undefined {
  return storage.getStore();
}

export function withAmbient<T>(next: Ambient, work: () => T): T {
  return storage.run(next, work);
}
