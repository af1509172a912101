import { testBus } from '../testing/test-bus.js';
import { busContract } from '../testing/contract.js';
import { contractTables } from '../testing/fixture.js';

busContract({
  name: 'postgres',
  open: async ({ partitions } = {}) => {
    const test = await testBus({ schema: 'consumer', migrations: [contractTables], partitions });
    return {
      bus: test.bus,
      openBus: test.openBus,
      database: test.database,
      openDatabase: () => test.open('consumer'),
      environment: { ALOFT_TEST_URL: test.url },
      drop: test.drop,
    };
  },
});
