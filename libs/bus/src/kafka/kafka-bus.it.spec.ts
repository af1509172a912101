import { busContract } from '../testing/contract.js';
import { contractTables } from '../testing/fixture.js';
import { startTestKafka, testKafkaBus, type TestKafka } from '../testing/kafka.js';

let broker: TestKafka;
beforeAll(async () => {
  broker = await startTestKafka();
}, 300_000);
afterAll(() => broker?.dispose());

busContract({
  name: 'kafka',
  storesDelivered: true,
  open: async ({ partitions } = {}) => {
    const test = await testKafkaBus({ broker, schema: 'consumer', migrations: [contractTables], partitions });
    return {
      bus: test.bus,
      openBus: () => test.openBus(),
      database: test.database,
      openDatabase: () => test.open('consumer'),
      environment: {
        ALOFT_TEST_URL: test.url,
        ALOFT_TEST_KAFKA: broker.brokers.join(','),
        ALOFT_TEST_PREFIX: test.topicPrefix,
        ALOFT_TEST_PROCESS: 'kafka-consumer-process',
      },
      drop: test.drop,
    };
  },
});
