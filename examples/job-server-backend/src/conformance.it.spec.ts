import { describeBackendConformance } from '@aloft/backend-kit/testing';
import { JobServerProcess } from './testing/job-server-process.js';
import { JobWorld } from './testing/job-world.js';

describeBackendConformance('job server', {
  world: async () => new JobWorld(await JobServerProcess.start()),
  many: 200,
  stored: true,
  // It bounds no memory.
  without: ['use-memory'],
});
