import { serveCalls } from '@aloft/service/thread';
import { pureEngine } from '../runs/engine.js';
import { compileEncoded, missingEntities } from './compile-dynamic.js';
import type { Call } from './compiler-thread.js';

// Runs in a thread of its own: large graphs are compiled here while the event loop goes on.
serveCalls((call: Call) => {
  switch (call.kind) {
    case 'missing':
      return missingEntities(call.futures);
    case 'compile':
      return compileEncoded(call.input);
    case 'pack':
      return pureEngine.packGraph(call.digest, call.closure);
  }
});
