import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { environmentNames, loadConfig } from './load-config.js';

const schema = z.object({
  dataDir: z.string().default('.aloft'),
  grpc: z.object({ port: z.number().int().min(0).max(65535).default(8089) }).prefault({}),
  python: z.string().optional(),
  debug: z.boolean().default(false),
  slots: z.record(z.string(), z.number()).default({}),
  smtp: z.object({ password: z.string().min(8) }).optional(),
});

const file = (text: string): string => {
  const path = join(mkdtempSync(join(tmpdir(), 'aloft-config-')), 'aloft.yaml');
  writeFileSync(path, text);
  return path;
};

test('defaults, then the file, then the environment', () => {
  const config = loadConfig({
    schema,
    file: file('dataDir: /data\ngrpc:\n  port: 1\n'),
    env: { ALOFT_GRPC_PORT: '2', ALOFT_SLOTS: '{gpu: 1}', ALOFT_PYTHON: '3' },
  });
  expect(config).toEqual({ dataDir: '/data', grpc: { port: 2 }, debug: false, slots: { gpu: 1 }, python: '3' });
});

test('every mistake is listed with its place, its value and what would be right', () => {
  const path = file('grpc:\n  port: 99999\nunheard: 1\n');
  expect(() => loadConfig({ schema, file: path, env: { ALOFT_DEBUG: 'perhaps' } })).toThrow(
    expect.objectContaining({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(
        /3 mistake[^]*grpc\.port: .*65535.*99999[^]*ALOFT_DEBUG: .*boolean.*perhaps[^]*unheard/,
      ),
    }),
  );
});

test('a secret that is refused is not repeated', () => {
  expect(() => loadConfig({ schema, env: { ALOFT_SMTP_PASSWORD: 'hunter2' } })).toThrow(
    expect.objectContaining({ message: expect.not.stringContaining('hunter2') }),
  );
});

test('a file that is missing or no YAML says so', () => {
  expect(() => loadConfig({ schema, file: '/nowhere/aloft.yaml', env: {} })).toThrow(/aloft\.yaml.*can't be read/);
  expect(() => loadConfig({ schema, file: file('a: [1'), env: {} })).toThrow(/aloft\.yaml/);
});

test('variables are named after the path', () => {
  expect([...environmentNames(schema).keys()]).toEqual(
    expect.arrayContaining(['ALOFT_DATA_DIR', 'ALOFT_GRPC_PORT', 'ALOFT_SMTP_PASSWORD']),
  );
});
