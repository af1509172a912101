import { describeBackendConformance } from '@aloft/backend-kit/testing';
import { BatchWorld } from './testing/batch-world.js';
import { FakeBatch } from './testing/fake-batch.js';
import { runProcess } from './testing/process-container.js';

// Real: the AWS SDK over HTTP, and the containers' commands as processes. Ours: the Batch behind it (testing/fake-batch.ts).
describeBackendConformance('aws-batch', {
  world: async () => {
    const fake = new FakeBatch({ run: runProcess });
    return new BatchWorld(await fake.listen(), {}, () => fake.close());
  },
  many: 50,
  stored: true,
});
