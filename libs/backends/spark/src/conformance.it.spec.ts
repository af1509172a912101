import { describeBackendConformance } from '@aloft/backend-kit/testing';
import { jest } from '@jest/globals';
import { SparkWorld } from './testing/spark-world.js';

// A driver takes seconds of a core until its program begins.
jest.setTimeout(180_000);

// Real: spark-submit, and the Java virtual machine that it starts. Each driver's program is a shell.
describeBackendConformance('spark', { world: async () => new SparkWorld(), many: 6 });
