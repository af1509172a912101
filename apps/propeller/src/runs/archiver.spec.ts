import type { BlobStore } from '@aloft/blob';
import type { Database } from '@aloft/database';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { createLogger } from '@aloft/telemetry';
import { expect, it } from '@jest/globals';
import { Archiver } from './archiver.js';
import type { RunsRepository } from './runs.repository.js';
import { systemTiming } from './timing.js';

it('a run that is taken up again while its history waits is in it once', async () => {
  const id: WorkflowExecutionIdentifier = { project: 'p', domain: 'd', name: 'r1', org: '' };
  const written: string[] = [];
  let away = true;
  const blob = {
    put: async (_uri: string, bytes: Uint8Array) => {
      if (away) {
        away = false;
        throw new Error('the storage is away');
      }
      written.push(Buffer.from(bytes).toString());
    },
  } as unknown as BlobStore;
  // As the database joins the rows of the runs that it is asked for.
  const repository = {
    histories: async (_database: Database, uids: string[]) =>
      uids.flatMap((run_uid) => ['one ', 'two '].map((text) => ({ run_uid, segment: Buffer.from(text) }))),
    trim: () => undefined,
  } as unknown as RunsRepository;
  const database = { transaction: async (work: (tx: unknown) => unknown) => work({}) } as unknown as Database;
  const logger = createLogger('propeller', { level: 'silent' });
  const done = new Promise<string>((resolve) => {
    const archiver = new Archiver({ database, blob, repository, logger, timing: systemTiming }, resolve);
    archiver.add({ uid: 'u1', id });
    archiver.add({ uid: 'u1', id });
  });
  expect(await done).toBe('u1');
  expect(written).toEqual(['one two ']);
});
