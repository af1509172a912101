export { FakeBatch, type Ended, type Running } from './fake-batch.js';
export { FakeQueue } from './fake-queue.js';
export { commandOf } from './items.js';
