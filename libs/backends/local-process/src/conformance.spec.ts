import { describeBackendConformance } from '@aloft/backend-kit/testing';
import { ShellWorld } from './testing/shell-world.js';

describeBackendConformance('local-process', {
  world: async () => new ShellWorld(),
  many: 200,
});
