import { serveCalls } from '@aloft/service/thread';
import { compileEncodedSpec, type EncodedSpec } from './compile-spec.js';

// Runs in a thread of its own: large workflows are compiled here while the event loop goes on.
serveCalls((spec: EncodedSpec) => compileEncodedSpec(spec));
