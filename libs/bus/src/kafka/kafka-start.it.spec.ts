import { createServer } from 'node:net';
import { createLogger } from '@aloft/telemetry';
import kafkajs from 'kafkajs';
import { startTestKafka, type TestKafka } from '../testing/kafka.js';
import { createKafkaBus, type KafkaBus, type KafkaBusOptions } from './index.js';

let broker: TestKafka;
let prefix = 0;
const buses: KafkaBus[] = [];
beforeAll(async () => {
  broker = await startTestKafka();
}, 300_000);
afterAll(() => broker?.dispose());
afterEach(async () => {
  await Promise.all(buses.splice(0).map((bus) => bus.close()));
});

function open(options: Partial<KafkaBusOptions> = {}): KafkaBus {
  const bus = createKafkaBus({
    brokers: broker.brokers,
    logger: createLogger('bus', { level: process.env.ALOFT_TEST_LOG ?? 'silent' }),
    topics: ['executions.events'],
    topicPrefix: `s${++prefix}.`,
    partitions: 2,
    replicationFactor: 1,
    minInSyncReplicas: 1,
    startTimeoutMs: 1_000,
    ...options,
  });
  buses.push(bus);
  return bus;
}

async function asOperator(work: (admin: kafkajs.Admin) => Promise<unknown>): Promise<void> {
  const admin = new kafkajs.Kafka({ brokers: broker.brokers, logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  await work(admin).finally(() => admin.disconnect());
}

/** What `start` says when it rejects. */
async function refusal(options: Partial<KafkaBusOptions>): Promise<{ code: string; message: string }> {
  return open(options)
    .start()
    .then(
      () => ({ code: 'OK', message: '' }),
      (error) => error as { code: string; message: string },
    );
}

test('topics are made once, whoever comes first, and found right from then on', async () => {
  const options = { topicPrefix: 'made.', topics: ['executions.events', 'tasks.reports'], retentionMs: 3_600_000 };
  await Promise.all([1, 2, 3].map(() => open(options).start()));
  await asOperator(async (admin) => {
    const { topics } = await admin.fetchTopicMetadata({ topics: ['made.executions.events'] });
    expect(topics[0]!.partitions).toHaveLength(2);
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [
        {
          type: 2,
          name: 'made.executions.events',
          configNames: ['retention.ms', 'cleanup.policy', 'min.insync.replicas', 'max.message.bytes'],
        },
      ],
    });
    expect(
      Object.fromEntries(resources[0]!.configEntries.map(({ configName, configValue }) => [configName, configValue])),
    ).toEqual({
      'retention.ms': '3600000',
      'cleanup.policy': 'delete',
      'min.insync.replicas': '1',
      'max.message.bytes': '1048588',
    });
  });
  await open(options).start();
});

test('each thing that is wrong with a topic is named, with the way to mend it', async () => {
  await asOperator((admin) =>
    admin.createTopics({
      topics: [
        {
          topic: 'bad.executions.events',
          numPartitions: 1,
          replicationFactor: 1,
          configEntries: [
            { name: 'retention.ms', value: '1000' },
            { name: 'cleanup.policy', value: 'compact' },
            { name: 'min.insync.replicas', value: '2' },
            { name: 'max.message.bytes', value: '1000' },
            { name: 'compression.type', value: 'zstd' },
          ],
        },
      ],
    }),
  );
  const { code, message } = await refusal({ topicPrefix: 'bad.' });
  expect(code).toBe('FAILED_PRECONDITION');
  for (const part of [
    'has 1 partitions and bus.partitions is 2',
    'wants 2 replicas in sync and has 1',
    'keeps messages 1000 ms',
    'takes 1000 bytes at most',
    'is compacted',
    'compressed with zstd',
    'kafka-configs.sh --alter --entity-type topics --entity-name bad.executions.events --add-config cleanup.policy=delete',
  ])
    expect(message).toContain(part);
});

test('a missing topic that may not be made, with the command that makes it', async () => {
  const { code, message } = await refusal({ createTopics: false, topicPrefix: 'none.' });
  expect(code).toBe('FAILED_PRECONDITION');
  expect(message).toContain('kafka-topics.sh --create --topic none.executions.events --partitions 2');
  expect(message).toContain('bus.kafka.createTopics');
});

test('too few brokers for the replication factor', async () => {
  const { code, message } = await refusal({ replicationFactor: 3, minInSyncReplicas: 2 });
  expect(code).toBe('FAILED_PRECONDITION');
  expect(message).toContain('bus.kafka.replicationFactor is 3, and this cluster has 1 live broker');
  const other = await refusal({ replicationFactor: 1, minInSyncReplicas: 2 });
  expect(other.message).toContain('bus.kafka.minInSyncReplicas is 2, more than');
});

test('a wrong port, an unknown host, a malformed address', async () => {
  const port = await refusal({ brokers: ['127.0.0.1:1'] });
  expect(port).toMatchObject({ code: 'UNAVAILABLE' });
  expect(port.message).toContain('nothing listens at 127.0.0.1:1');
  expect(port.message).toContain('check host and port in bus.kafka.brokers');
  const host = await refusal({ brokers: ['no-such-host.invalid:9092'] });
  expect(host.message).toMatch(/no-such-host\.invalid.*check bus\.kafka\.brokers/s);
  expect(() => open({ brokers: ['localhost'] })).toThrow('"localhost" must be host:port');
  expect(() => open({ brokers: [] })).toThrow('bus.kafka.brokers is empty');
});

test('something that is not Kafka, or answers nothing', async () => {
  const server = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const answer = await refusal({ brokers: [`127.0.0.1:${port}`] });
  server.close();
  expect(answer.code).toBe('UNAVAILABLE');
  expect(answer.message).toContain(`127.0.0.1:${port}`);
});

test('TLS to a plain listener', async () => {
  const { code, message } = await refusal({ tls: { rejectUnauthorized: false } });
  expect(code).toBe('UNAVAILABLE');
  expect(message).toContain('bus.kafka.tls.enabled');
});

test('a broker that is still starting is waited for; one that comes back is found again', async () => {
  const bus = open({ startTimeoutMs: 60_000 });
  await broker.kill();
  const starting = bus.start();
  await broker.restart({ hard: true });
  await starting;
  await bus.check();
  broker.pause();
  await expect(bus.check()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  broker.resume();
  const until = Date.now() + 20_000;
  for (;;) {
    try {
      await bus.check();
      break;
    } catch (error) {
      if (Date.now() > until) throw error;
    }
  }
});
