import { parentPort } from 'node:worker_threads';
import { toAloftError, type ErrorCode } from '@aloft/errors';

export interface Reply {
  id: number;
  value?: unknown;
  error?: { code: ErrorCode; message: string };
}

/** In a worker's script: answers each call. Bytes that `handle` returns, or that are a field of what it returns, are handed over, not copied. */
export function serveCalls<C>(handle: (call: C) => unknown): void {
  parentPort?.on('message', ({ id, call }: { id: number; call: C }) => {
    let reply: Reply;
    try {
      reply = { id, value: handle(call) };
    } catch (thrown) {
      const { code, message } = toAloftError(thrown);
      reply = { id, error: { code, message } };
    }
    parentPort?.postMessage(reply, wholeBuffers(reply.value));
  });
}

function wholeBuffers(value: unknown): ArrayBuffer[] {
  const parts = typeof value === 'object' && value !== null ? [value, ...Object.values(value as object)] : [];
  const whole = new Set<ArrayBuffer>();
  for (const part of parts) {
    // Others share their memory with what the worker goes on using.
    if (part instanceof Uint8Array && part.buffer instanceof ArrayBuffer && part.buffer.byteLength === part.byteLength)
      whole.add(part.buffer);
  }
  return [...whole];
}
