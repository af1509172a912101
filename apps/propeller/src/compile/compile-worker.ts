import { parentPort } from 'node:worker_threads';
import { toAloftError } from '@aloft/errors';
import { compileEncoded, missingEntities } from './compile-dynamic.js';
import type { Call, Reply } from './compiler-thread.js';

// Runs in a thread of its own: large graphs are compiled here while the event loop goes on.
parentPort?.on('message', ({ id, call }: { id: number; call: Call }) => {
  let reply: Reply;
  try {
    reply = { id, value: call.kind === 'missing' ? missingEntities(call.futures) : compileEncoded(call.input) };
  } catch (thrown) {
    const { code, message } = toAloftError(thrown);
    reply = { id, error: { code, message } };
  }
  parentPort?.postMessage(reply);
});
