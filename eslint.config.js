import nx from '@nx/eslint-plugin';
import tseslint from 'typescript-eslint';
import importX from 'eslint-plugin-import-x';
import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript';

const layers = [
  { sourceTag: 'layer:contract', onlyDependOnLibsWithTags: ['layer:contract'] },
  { sourceTag: 'layer:core', onlyDependOnLibsWithTags: ['layer:contract', 'layer:core'] },
  { sourceTag: 'layer:platform', onlyDependOnLibsWithTags: ['layer:contract', 'layer:core', 'layer:platform'] },
  {
    sourceTag: 'layer:adapter',
    onlyDependOnLibsWithTags: ['layer:contract', 'layer:core', 'layer:platform', 'layer:adapter', 'layer:sdk'],
  },
  {
    sourceTag: 'layer:app',
    onlyDependOnLibsWithTags: ['layer:contract', 'layer:core', 'layer:platform', 'layer:adapter', 'layer:sdk'],
  },
  { sourceTag: 'layer:sdk', onlyDependOnLibsWithTags: ['layer:contract', 'layer:core'] },
  { sourceTag: 'layer:composition', onlyDependOnLibsWithTags: ['*'] },
  { sourceTag: 'layer:tooling', onlyDependOnLibsWithTags: ['*'] },
  { sourceTag: 'layer:example', onlyDependOnLibsWithTags: ['layer:core', 'layer:contract', 'layer:sdk'] },
];

const forbiddenInCore = [
  '@nestjs/*',
  'typeorm',
  'pg',
  'kafkajs',
  '@platformatic/kafka',
  'rxjs',
  'rxjs/*',
  'node:fs',
  'node:fs/*',
  'node:net',
  'node:http',
  'node:https',
  'node:child_process',
];

export default tseslint.config(
  {
    ignores: [
      '**/dist/**',
      '**/node_modules/**',
      'libs/idl/src/gen/**',
      'libs/idl/.build/**',
      '.nx/**',
      '.cache/**',
      '.aloft/**',
      '**/.venv/**',
    ],
  },
  ...tseslint.configs.recommended,
  {
    files: ['**/*.ts', '**/*.tsx'],
    // A constructor's parameter types are values to Nest: not to be imported as types only.
    languageOptions: { parserOptions: { emitDecoratorMetadata: true, experimentalDecorators: true } },
    plugins: { '@nx': nx, 'import-x': importX },
    settings: {
      'import-x/resolver-next': [createTypeScriptImportResolver({ conditionNames: ['source', 'import', 'default'] })],
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts', '.tsx'] },
    },
    rules: {
      '@nx/enforce-module-boundaries': [
        'error',
        { allow: [], depConstraints: layers, enforceBuildableLibDependency: false },
      ],
      'import-x/no-cycle': ['error', { ignoreExternal: true }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-explicit-any': 'error',
      eqeqeq: 'error',
    },
  },
  {
    // The core has no clock, no randomness, no I/O: time, ids and names come in with its input.
    files: ['libs/{literals,compiler,engine}/src/**/*.ts'],
    ignores: ['**/*.spec.ts', '**/testing/**'],
    rules: {
      'no-restricted-imports': ['error', { patterns: forbiddenInCore }],
      'no-restricted-globals': ['error', 'setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'performance'],
      'no-restricted-syntax': [
        'error',
        { selector: "MemberExpression[object.name='Date'][property.name='now']", message: 'No clock in the core.' },
        { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'No clock in the core.' },
        {
          selector: "MemberExpression[object.name='Math'][property.name='random']",
          message: 'No randomness in the core.',
        },
      ],
    },
  },
);
