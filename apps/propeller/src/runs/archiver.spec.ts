import type { BlobStore } from '@aloft/blob';
import type { Database } from '@aloft/database';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { createLogger } from '@aloft/telemetry';
import { expect, it } from '@jest/globals';
import { Archiver } from './archiver.js';
import type { RunsRepository } from './runs.repository.js';
import { systemTiming } from './timing.js';

/** Storage that may be away at first, and a database with a small log and a large one. */
function storage(away = false) {
  const written: string[] = [];
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
    smallLogs: async (_database: Database, uids: string[]) =>
      uids.filter((uid) => uid === 'u1').map((run_uid) => ({ run_uid, log: Buffer.from('one two ') })),
    histories: async (_database: Database, uids: string[]) =>
      uids.flatMap((run_uid) => ['large ', 'log '].map((text) => ({ run_uid, segment: Buffer.from(text) }))),
    trim: () => undefined,
  } as unknown as RunsRepository;
  const database = { transaction: async (work: (tx: unknown) => unknown) => work({}) } as unknown as Database;
  const logger = createLogger('propeller', { level: 'silent' });
  return { options: { database, blob, repository, logger, timing: systemTiming }, written };
}

it('a run that is taken up again while its history waits is in it once', async () => {
  const id: WorkflowExecutionIdentifier = { project: 'p', domain: 'd', name: 'r1', org: '' };
  const { options, written } = storage(true);
  const done = new Promise<string>((resolve) => {
    const archiver = new Archiver(options, resolve);
    archiver.add({ uid: 'u1', id });
    archiver.add({ uid: 'u1', id });
  });
  expect(await done).toBe('u1');
  expect(written).toEqual(['one two ']);
});

it('logs that the database does not put together are put together here', async () => {
  const id: WorkflowExecutionIdentifier = { project: 'p', domain: 'd', name: 'r1', org: '' };
  const { options, written } = storage();
  const trimmed: string[] = [];
  await new Promise<void>((resolve) => {
    const archiver = new Archiver(options, (uid) => void (trimmed.push(uid) === 2 && resolve()));
    archiver.add({ uid: 'u1', id });
    archiver.add({ uid: 'u2', id });
  });
  expect(written).toEqual(['one two large log ']);
});
