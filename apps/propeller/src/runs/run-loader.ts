import type { Database } from '@aloft/database';
import type { Run } from '@aloft/engine';
import { AloftError, errorMapping, toAloftError } from '@aloft/errors';
import { StartExecution } from '@aloft/idl/aloft/v1/bus';
import { LogSegment, type LogEntry } from '@aloft/idl/aloft/v1/engine';
import { executionKey } from '@aloft/bus';
import type { Logger } from '@aloft/telemetry';
import { logFormatVersion } from '../commit/log-encoding.js';
import { toMs, type LogClock } from './clock.js';
import type { Engine } from './engine.js';
import type { GraphCache } from './graph-cache.js';
import type { Ended } from '../trace/run-times.js';
import { runTrace } from '../trace/run-trace.js';
import { traceEnds } from '../trace/tell-ends.js';
import type { RunEntry } from './run-entry.js';
import type { LogRow, RunRow, RunsRepository } from './runs.repository.js';
import type { Timing } from './timing.js';

export interface RunLoaderOptions {
  database: Database;
  repository: RunsRepository;
  engine: Engine;
  graphs: GraphCache;
  clock: LogClock;
  timing: Timing;
  logger: Logger;
}

/** Entries folded before the event loop gets its turn. */
const foldSlice = 2000;
const loadsAtOnce = 200;
/** Bytes of snapshots restored before the event loop gets its turn: of many large runs the first go on while the others are restored. */
const restoreSliceBytes = 256 * 1024;
/** Spans that ended longer ago have surely left the process that ended them, or never will. */
const toldWithinMs = 60_000;

/**
 * Brings runs from snapshot and log into memory. Many asked for at once are read with one query; transient failures are retried
 * here for as long as it takes, since nothing is lost meanwhile.
 */
export class RunLoader {
  private waiting: RunEntry[] = [];
  private running = false;
  private stopped = false;
  /** Of snapshots, since the last turn; and the line of those that want to be restored. */
  private restoredBytes = 0;
  private restoring: Promise<void> = Promise.resolve();

  constructor(
    private readonly options: RunLoaderOptions,
    /** The entry is no longer `loading`. `error`: it can't be loaded (its data is lost or not understood). */
    private readonly loaded: (entry: RunEntry, error?: AloftError) => void,
  ) {}

  stop(): void {
    this.stopped = true;
    this.waiting = [];
  }

  request(entry: RunEntry): void {
    this.waiting.push(entry);
    if (!this.running) {
      this.running = true;
      void this.work();
    }
  }

  /** Fetches one graph for a run that needs it before its next input. */
  async graph(entry: RunEntry, needed: { digest: string; uri: string }): Promise<void> {
    try {
      const graph = await this.persist(() => this.options.graphs.load(needed.digest, needed.uri));
      if (this.stopped) return;
      entry.graphs.set(needed.digest, graph);
      entry.graphUris.set(needed.digest, needed.uri);
      this.loaded(entry);
    } catch (error) {
      if (!this.stopped) this.loaded(entry, toAloftError(error));
    }
  }

  private async work(): Promise<void> {
    // Those asked for in the same turn are read together.
    await this.options.timing.nextTurn();
    while (this.waiting.length > 0) {
      const entries = this.waiting.splice(0, loadsAtOnce);
      try {
        const { runs, log } = await this.persist(() =>
          this.options.repository.load(
            this.options.database,
            entries.map(({ uid }) => uid),
          ),
        );
        const rows = new Map(runs.map((row) => [row.uid, row]));
        for (const entry of entries) {
          if (this.stopped) return;
          // A run whose graph has to be fetched must not hold up the others.
          void this.restore(entry, rows.get(entry.uid), log.get(entry.uid) ?? []);
        }
      } catch (error) {
        for (const entry of entries) if (!this.stopped) this.loaded(entry, toAloftError(error));
      }
    }
    this.running = false;
  }

  private async restore(entry: RunEntry, row: RunRow | undefined, log: LogRow[]): Promise<void> {
    try {
      if (!row) entry.state = 'unknown';
      else if (row.history_uri !== null) entry.state = 'ended';
      else await this.restoreRow(entry, row, log);
      if (!this.stopped) this.loaded(entry);
    } catch (error) {
      if (!this.stopped) this.loaded(entry, toAloftError(error));
    }
  }

  private async restoreRow(entry: RunEntry, row: RunRow, log: LogRow[]): Promise<void> {
    const start = StartExecution.decode(row.start);
    entry.identity = {
      uid: row.uid,
      id: start.id!,
      key: executionKey(start.id!),
      shard: row.shard,
      traceparent: row.traceparent,
      tracestate: row.tracestate,
      trace: runTrace(row),
      principal: start.settings?.principal ?? '',
      start,
    };
    entry.phase = row.phase;
    entry.attention = row.attention;
    entry.quarantine = row.quarantine ?? undefined;
    entry.nextSeq = nextSequence(row, log);
    if (row.quarantine !== null && !entry.releasing) {
      entry.state = 'quarantined';
      return;
    }
    entry.run = await this.fold(entry, row, log);
    entry.logBytes = log.reduce((sum, { segment }) => sum + segment.length, 0);
    entry.snapshotBytes = row.snapshot?.length ?? 0;
    for (const effect of entry.run.outstanding())
      if (effect.kind === 'request') entry.open.set(effect.request, effect.ask);
    entry.fresh = true;
    entry.state = 'ready';
  }

  /** State from snapshot and log. Effects of the past are dropped: what is still open is told by `outstanding`. */
  private async fold(entry: RunEntry, row: RunRow, log: readonly LogRow[]): Promise<Run> {
    const { runs } = this.options.engine;
    const lookup = (digest: string) => {
      const graph = entry.graphs.get(digest);
      if (!graph) throw new Error(`graph ${digest} is not loaded`);
      return graph;
    };
    let run: Run | undefined;
    const ended: Ended[] = [];
    entry.times.restore(row.snapshot_times);
    if (row.snapshot) {
      for (const digest of runs.graphsOf(row.snapshot)) {
        await this.need(entry, { digest, uri: row.snapshot_graphs?.[digest] ?? '' });
      }
      await this.turn(row.snapshot.length);
      run = runs.restore(row.snapshot, lookup);
      this.options.clock.observe(run.time);
    }
    run ??= runs.create();
    let slice = 0;
    for (const { segment, first_seq } of log) {
      for (const logEntry of decodeSegment(row.uid, first_seq, segment)) {
        const needed = logEntry.input && runs.graphOf(logEntry.input);
        if (needed) await this.need(entry, needed);
        run.apply(logEntry, lookup);
        const at = toMs(logEntry.time!);
        for (const effect of run.takeEffects())
          if (effect.kind === 'event') entry.times.observe(effect.event, at, ended);
        this.options.clock.observe(logEntry.time);
        slice += 1;
        if (slice % foldSlice === 0) await this.options.timing.nextTurn();
      }
    }
    this.tellAgain(entry, ended);
    return run;
  }

  /** Resolves when so much may be restored; one after the other. */
  private turn(bytes: number): Promise<void> {
    this.restoring = this.restoring.then(async () => {
      if (this.restoredBytes > restoreSliceBytes) {
        this.restoredBytes = 0;
        await this.options.timing.nextTurn();
      }
      this.restoredBytes += bytes;
    });
    return this.restoring;
  }

  /** Whoever had the run before may have died before it had told of these. */
  private tellAgain(entry: RunEntry, ended: readonly Ended[]): void {
    const since = this.options.clock.now() - toldWithinMs;
    traceEnds(
      entry.identity!,
      ended.filter(({ at }) => at >= since),
    );
  }

  private async need(entry: RunEntry, { digest, uri }: { digest: string; uri: string }): Promise<void> {
    if (entry.graphs.has(digest)) return;
    entry.graphs.set(digest, await this.persist(() => this.options.graphs.load(digest, uri)));
    entry.graphUris.set(digest, uri);
  }

  /** Repeats what fails for a passing reason, with growing pauses up to 5 s. */
  private async persist<T>(work: () => Promise<T>): Promise<T> {
    for (let pause = 50; ; pause = Math.min(pause * 2, 5000)) {
      try {
        return await work();
      } catch (error) {
        if (this.stopped || errorMapping[toAloftError(error).code].bus !== 'retry') throw error;
        this.options.logger.warn({ err: error }, 'a run cannot be loaded yet');
        await this.options.timing.pause(pause);
      }
    }
  }
}

/** Entries of one row. FAILED_PRECONDITION when a newer binary wrote it, DATA_LOSS when it is not readable. */
export function decodeSegment(uid: string, firstSeq: bigint, bytes: Uint8Array): LogEntry[] {
  let segment: LogSegment;
  try {
    segment = LogSegment.decode(bytes);
  } catch (error) {
    throw new AloftError('DATA_LOSS', `log of run ${uid} from entry ${firstSeq} is not readable`, { cause: error });
  }
  if (segment.formatVersion > logFormatVersion) {
    throw new AloftError(
      'FAILED_PRECONDITION',
      `log of run ${uid} from entry ${firstSeq} has format ${segment.formatVersion}, this binary reads up to ` +
        `${logFormatVersion}: start a binary at least as new as the one that wrote it`,
    );
  }
  return segment.entries;
}

function nextSequence(row: RunRow, log: readonly LogRow[]): bigint {
  const last = log[log.length - 1];
  return last ? last.first_seq + BigInt(last.entry_count) : (row.snapshot_seq ?? 1n);
}
