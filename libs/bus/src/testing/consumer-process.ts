// A consumer of the contract in a process of its own, for tests that kill it. Tells of every batch it commits.
import { openDatabase } from '@aloft/database';
import { createPostgresBus } from '../postgres/postgres-bus.js';
import { apply } from './fixture.js';

const url = process.env.ALOFT_TEST_URL!;
const database = openDatabase({ url, schema: 'consumer', poolSize: 2 });
const bus = createPostgresBus({ database: openDatabase({ url, schema: 'bus', poolSize: 2 }) });
let batches = 0;

bus.consume({
  topic: 'executions.events',
  group: 'projection',
  database,
  mode: 'leased',
  maxBatch: 7,
  handle: async (messages, tx) => {
    await apply(messages, tx);
    tx!.afterCommit(() => console.log(`batch ${++batches}`));
  },
});
// Its own timers don't keep it. Its parent ends it, or takes it along.
process.stdin.resume().once('end', () => process.exit());
