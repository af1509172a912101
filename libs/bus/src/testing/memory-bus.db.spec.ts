import { testBus } from './test-bus.js';
import { busContract } from './contract.js';
import { contractTables } from './fixture.js';
import { MemoryBroker } from './memory-broker.js';
import { MemoryBus } from './memory-bus.js';

// The bus of the simulation keeps the promises of the real ones. Its consumers' positions lie in a real Postgres here.
busContract({
  name: 'memory',
  oneProcess: true,
  open: async ({ partitions } = {}) => {
    const test = await testBus({ schema: 'consumer', migrations: [contractTables] });
    const broker = new MemoryBroker({ partitions });
    const buses: MemoryBus[] = [];
    const openBus = () => {
      const bus = new MemoryBus(broker);
      buses.push(bus);
      return bus;
    };
    return {
      bus: openBus(),
      openBus,
      database: test.database,
      openDatabase: () => test.open('consumer'),
      environment: {},
      drop: async () => {
        await Promise.all(buses.map((bus) => bus.close()));
        await test.drop();
      },
    };
  },
});
