// Unit tests: *.spec.ts beside the code (pure, milliseconds); *.db.spec.ts need the embedded Postgres, which they start.
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
  roots: ['<rootDir>/libs', '<rootDir>/apps', '<rootDir>/examples'],
  testMatch: ['**/src/**/*.spec.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.tsx?$': swc },
  transformIgnorePatterns: ['/node_modules/', '/dist/'],
  modulePathIgnorePatterns: ['/dist/.*package.json'],
  moduleNameMapper: {
    '^@aloft/idl/(descriptor|json)$': '<rootDir>/libs/idl/src/$1.ts',
    '^@aloft/idl/(.*)$': '<rootDir>/libs/idl/dist/gen/$1.js',
    '^@aloft/backend-(?!kit)([^/]+)$': '<rootDir>/libs/backends/$1/src/index.ts',
    '^@aloft/(errors|literals|compiler|engine|bus|blob|database|rpc|auth|telemetry|config|backend-kit|sdk)$':
      '<rootDir>/libs/$1/src/index.ts',
    '^@aloft/(errors|literals|compiler|engine|bus|blob|database|rpc|auth|telemetry|config|backend-kit|sdk)/testing$':
      '<rootDir>/libs/$1/src/testing/index.ts',
    '^@aloft/(admin|propeller|catalog|notifier|backends|cli|standalone)$': '<rootDir>/apps/$1/src/index.ts',
    '^(\\.{1,2}/(?!.*/dist/).*)\\.js$': '$1',
  },
  testTimeout: 30000,
};
