// As consumer-process.ts, over Kafka.
import { openDatabase } from '@aloft/database';
import { createKafkaBus } from '../kafka/index.js';
import { apply } from './fixture.js';

const url = process.env.ALOFT_TEST_URL!;
const database = openDatabase({ url, schema: 'consumer', poolSize: 2 });
const bus = createKafkaBus({
  brokers: process.env.ALOFT_TEST_KAFKA!.split(','),
  topicPrefix: process.env.ALOFT_TEST_PREFIX!,
  partitions: 1,
  topics: [],
});
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
