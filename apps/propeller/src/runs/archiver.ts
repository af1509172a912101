import type { BlobStore } from '@aloft/blob';
import type { Database } from '@aloft/database';
import type { Logger } from '@aloft/telemetry';
import { historyObjects, type EndedRun } from './history-object.js';
import type { RunsRepository } from './runs.repository.js';
import type { Timing } from './timing.js';

export interface ArchiverOptions {
  database: Database;
  blob: BlobStore;
  repository: RunsRepository;
  logger: Logger;
  timing: Timing;
}

const runsAtOnce = 200;
const gatherMs = 1_000;
const smallLogBytes = 1024 * 1024;
/** Syncs of different files share the disk's time. */
const writesAtOnce = 4;

/**
 * Makes histories of ended runs' logs, small ones together, and trims the logs; what stays is the run's row, its tombstone. Repeating it
 * changes nothing, so no fence is needed: an ended run's log does not grow. Nobody waits for it, so what ends within a moment is
 * archived together.
 */
export class Archiver {
  /** By uid: a run that is taken up again while it waits must not be in its own history twice. */
  private readonly waiting = new Map<string, EndedRun>();
  private running = false;
  private stopped = false;

  constructor(
    private readonly options: ArchiverOptions,
    private readonly trimmed: (uid: string) => void,
  ) {}

  add(run: EndedRun): void {
    this.waiting.set(run.uid, run);
    if (this.running) return;
    this.running = true;
    this.options.timing.after(gatherMs, () => void this.work());
  }

  stop(): void {
    this.stopped = true;
  }

  private async work(): Promise<void> {
    for (let pause = 100; this.waiting.size > 0 && !this.stopped;) {
      const runs = [...this.waiting.values()].slice(0, runsAtOnce);
      try {
        await this.archive(runs);
        pause = 100;
        for (const { uid } of runs) {
          this.waiting.delete(uid);
          this.trimmed(uid);
        }
      } catch (error) {
        if (this.stopped) return;
        this.options.logger.warn({ err: error }, 'histories cannot be written yet');
        await new Promise<void>((resolve) => this.options.timing.after(pause, resolve));
        pause = Math.min(pause * 2, 10_000);
      }
    }
    this.running = false;
  }

  private async archive(runs: readonly EndedRun[]): Promise<void> {
    const { database, blob, repository } = this.options;
    const logs = await this.logsOf(runs);
    // No log: somebody has done it already.
    const objects = historyObjects(
      runs.flatMap((run) => {
        const bytes = logs.get(run.uid);
        return bytes ? [{ run, bytes }] : [];
      }),
    );
    const written: { uid: string; historyUri: string }[] = [];
    const writeNext = async (): Promise<void> => {
      for (let object = objects.shift(); object && !this.stopped; object = objects.shift()) {
        // Without a type of its own, the object is one file and not two.
        await blob.put(object.uri, object.bytes);
        written.push(...object.holds);
      }
    };
    await Promise.all(Array.from({ length: writesAtOnce }, writeNext));
    if (this.stopped || written.length === 0) return;
    await database.transaction(async (tx) => repository.trim(tx, written));
  }

  /** Put together by the database where they are small: a row each instead of one for each commit. */
  private async logsOf(runs: readonly EndedRun[]): Promise<Map<string, Uint8Array>> {
    const { database, repository } = this.options;
    const uids = runs.map(({ uid }) => uid);
    const small = await repository.smallLogs(database, uids, smallLogBytes);
    const logs = new Map<string, Uint8Array>(small.map(({ run_uid, log }) => [run_uid, log]));
    const others = uids.filter((uid) => !logs.has(uid));
    if (others.length === 0) return logs;
    const segments = new Map<string, Buffer[]>();
    for (const { run_uid, segment } of await repository.histories(database, others)) {
      const list = segments.get(run_uid);
      if (list) list.push(segment);
      else segments.set(run_uid, [segment]);
    }
    // Segments one behind the other are one segment: repeated fields add up in protobuf.
    for (const [uid, list] of segments) logs.set(uid, Buffer.concat(list));
    return logs;
  }
}
