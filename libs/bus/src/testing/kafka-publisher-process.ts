// A publisher in a process of its own, for tests that pause or kill it: publishes one message after another, tells of each
// that is committed, and ends after ALOFT_TEST_COUNT of them (default: never).
import { openDatabase } from '@aloft/database';
import { createLogger } from '@aloft/telemetry';
import { createKafkaBus } from '../kafka/index.js';
import { message, publish } from './fixture.js';

const database = openDatabase({ url: process.env.ALOFT_TEST_URL!, schema: 'consumer', poolSize: 4 });
const bus = createKafkaBus({
  brokers: process.env.ALOFT_TEST_KAFKA!.split(','),
  topicPrefix: process.env.ALOFT_TEST_PREFIX!,
  partitions: 1,
  replicationFactor: 1,
  minInSyncReplicas: 1,
  topics: [],
  database,
  logger: createLogger('bus', { level: 'silent' }),
});
const name = process.env.ALOFT_TEST_NAME!;
const count = Number(process.env.ALOFT_TEST_COUNT ?? Infinity);
for (let i = 0; i < count; i++) {
  const id = `${name} ${100000 + i}`;
  await publish(bus, database, [message('executions.events', name, id)]);
  console.log(id);
}
if (process.env.ALOFT_TEST_LINGER) setInterval(() => undefined, 60_000);
else {
  await bus.close();
  await database.close();
}
