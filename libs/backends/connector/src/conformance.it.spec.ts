import { describeBackendConformance } from '@aloft/backend-kit/testing';
import { ConnectorWorld } from './testing/connector-world.js';
import { serveConnectors, type ServedConnectors } from './testing/served.js';

// Real: flytekit's own connector process, and the jobs that its connector starts.
let served: ServedConnectors;

beforeAll(async () => {
  served = await serveConnectors();
}, 120_000);

afterAll(async () => {
  await served?.stop();
});

describeBackendConformance('connector', {
  world: async () => new ConnectorWorld(served.address),
  many: 100,
  stored: true,
  // What a connector says is its own: exit codes, signals, memory and files are behind it.
  without: [
    'exit-nonzero',
    'be-killed',
    'write-garbage',
    'write-garbage-error',
    'use-memory',
    'run-over-time',
    'be-unstartable',
  ],
});
