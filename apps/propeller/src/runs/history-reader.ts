import type { BlobStore } from '@aloft/blob';
import type { Database } from '@aloft/database';
import type { Graph, Run, RunObserver } from '@aloft/engine';
import { notFound } from '@aloft/errors';
import type { ExecutionEvent } from '@aloft/idl/aloft/v1/bus';
import type { LogEntry } from '@aloft/idl/aloft/v1/engine';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { Engine } from './engine.js';
import type { GraphCache } from './graph-cache.js';
import { historyUri, readHistory } from './history-object.js';
import { decodeSegment } from './run-loader.js';
import type { RunsRepository } from './runs.repository.js';

export interface HistoryReaderOptions {
  database: Database;
  blob: BlobStore;
  repository: RunsRepository;
  engine: Engine;
  graphs: GraphCache;
  maxHistoryBytes: number;
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));
const foldSlice = 2000;

/** The past of a run, from its log or, once it has ended, from its history object. */
export class HistoryReader {
  constructor(private readonly options: HistoryReaderOptions) {}

  /** NOT_FOUND when there is neither log nor history. */
  async entries(uid: string, id: WorkflowExecutionIdentifier): Promise<LogEntry[]> {
    const { database, blob, repository, maxHistoryBytes } = this.options;
    const rows = await repository.histories(database, [uid]);
    if (rows.length > 0) return rows.flatMap(({ first_seq, segment }) => decodeSegment(uid, first_seq, segment));
    // Trimmed between the two reads, or another database's: the object has a derived name.
    const known = await repository.findHistory(database, uid);
    const uri = known?.historyUri ?? historyUri({ uid, id });
    if (uri === '') throw notFound(`run ${uid} (${id.project}/${id.domain}/${id.name}) was erased`);
    try {
      return decodeSegment(uid, 1n, await readHistory(blob, uri, maxHistoryBytes));
    } catch (error) {
      throw notFound(`run ${uid} (${id.project}/${id.domain}/${id.name}) has neither a log nor a history at ${uri}`, {
        cause: error,
      });
    }
  }

  /** Applies the entries again; `seen` gets each with the events that it gave. */
  async replay(
    entries: readonly LogEntry[],
    seen: (entry: LogEntry, events: ExecutionEvent[]) => void,
    observer?: RunObserver,
  ): Promise<Run> {
    const { engine, graphs } = this.options;
    const loaded = new Map<string, Graph>();
    const run = engine.runs.create(observer);
    for (const [i, entry] of entries.entries()) {
      const needed = entry.input && engine.runs.graphOf(entry.input);
      if (needed) loaded.set(needed.digest, await graphs.load(needed.digest, needed.uri));
      run.apply(entry, (digest) => loaded.get(digest)!);
      seen(
        entry,
        run.takeEffects().flatMap((effect) => (effect.kind === 'event' ? [effect.event] : [])),
      );
      if (i % foldSlice === foldSlice - 1) await nextTurn();
    }
    return run;
  }
}
