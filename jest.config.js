import { existsSync } from 'node:fs';

// Unit tests: *.spec.ts beside the code (pure, milliseconds); *.db.spec.ts need the embedded Postgres, which they start.
// With ALOFT_INTEGRATION=1 (set by tools/integration.mjs) instead: *.it.spec.ts, which start real outside servers.
const integration = process.env.ALOFT_INTEGRATION === '1';
const swc = [
  '@swc/jest',
  {
    swcrc: false,
    sourceMaps: 'inline',
    module: { type: 'es6' },
    jsc: {
      target: 'es2022',
      parser: { syntax: 'typescript', decorators: true, tsx: true },
      transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
    },
  },
];

/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/libs', '<rootDir>/apps', '<rootDir>/examples', '<rootDir>/e2e', '<rootDir>/deploy'].filter(
    (folder) => existsSync(folder.replace('<rootDir>', import.meta.dirname)),
  ),
  testMatch: integration ? ['**/*.it.spec.ts'] : ['**/*.spec.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/', ...(integration ? [] : ['\\.it\\.spec\\.ts$'])],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.tsx?$': swc },
  transformIgnorePatterns: ['/node_modules/', '/dist/'],
  modulePathIgnorePatterns: ['/dist/.*package.json'],
  moduleNameMapper: {
    '^@aloft/idl/(descriptor|json)$': '<rootDir>/libs/idl/src/$1.ts',
    '^@aloft/idl/wire$': '<rootDir>/libs/idl/dist/wire.js',
    '^@aloft/idl/(.*)$': '<rootDir>/libs/idl/dist/gen/$1.js',
    '^@aloft/bus/kafka$': '<rootDir>/libs/bus/src/kafka/index.ts',
    '^@aloft/backend-(?!kit)([^/]+)$': '<rootDir>/libs/backends/$1/src/index.ts',
    '^@aloft/(errors|literals|compiler|engine|bus|blob|database|rpc|auth|telemetry|config|backend-kit|sdk|service)$':
      '<rootDir>/libs/$1/src/index.ts',
    '^@aloft/(errors|literals|compiler|engine|bus|blob|database|rpc|auth|telemetry|config|backend-kit|sdk|service)/testing$':
      '<rootDir>/libs/$1/src/testing/index.ts',
    '^@aloft/service/nest$': '<rootDir>/libs/service/src/nest-host.ts',
    '^@aloft/service/thread$': '<rootDir>/libs/service/src/thread/index.ts',
    '^@aloft/(admin|propeller|catalog|notifier|backends|cli|standalone)$': '<rootDir>/apps/$1/src/index.ts',
    '^(\\.{1,2}/(?!.*/dist/).*)\\.js$': '$1',
  },
  testTimeout: integration ? 120000 : 30000,
};
