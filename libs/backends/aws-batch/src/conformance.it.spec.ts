import { describeBackendConformance } from '@aloft/backend-kit/testing';
import { BatchWorld } from './testing/batch-world.js';
import { startMoto, type Moto } from './testing/moto.js';

// Real: moto's Batch, whose jobs are processes. Not in moto, and therefore shown on our fake (conformance.spec.ts): exit codes and reasons of
// containers in DescribeJobs, images that are not there, limits on memory.
let moto: Moto;

beforeAll(async () => {
  moto = await startMoto();
}, 300_000);

afterAll(async () => {
  await moto?.stop();
});

describeBackendConformance('aws-batch on moto', {
  world: async () => {
    await moto.reset();
    return new BatchWorld(moto.endpoint, { settleMs: 1_000 });
  },
  many: 20,
  stored: true,
  without: ['exit-nonzero', 'be-killed', 'use-memory', 'be-unstartable'],
});
