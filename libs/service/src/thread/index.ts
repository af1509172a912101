export { builtScript, CallThread } from './call-thread.js';
export { serveCalls } from './serve-calls.js';
