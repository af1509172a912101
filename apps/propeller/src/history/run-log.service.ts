import type { BlobStore } from '@aloft/blob';
import type { Database } from '@aloft/database';
import { AloftError, failedPrecondition, invalidArgument, notFound, toAloftError } from '@aloft/errors';
import type {
  ReadRunLogRequest,
  ReadRunLogResponse,
  ReadStoredRunRequest,
  ReadStoredRunResponse,
} from '@aloft/idl/aloft/v1/history';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { historyUri, readHistory } from '../runs/history-object.js';
import type { RunLogRepository, StoredRunRow } from './run-log.repository.js';
import { cutSegment, type LogPart } from './segment-parts.js';

export interface RunLogOptions {
  database: Database;
  blob: BlobStore;
  repository: RunLogRepository;
  /** Bytes of a history object that are read at most. */
  maxHistoryBytes: number;
}

/** Entries travel in messages of about this size; stock clients take 4 MiB. */
const partBytes = 512 * 1024;
const rowsAtOnce = 500;

interface Named {
  id: WorkflowExecutionIdentifier;
  uid: string;
}

/** The log of any run for other services, from the database or, once it has ended, from its history object. */
export class RunLogService {
  constructor(private readonly options: RunLogOptions) {}

  async *read(request: ReadRunLogRequest, signal: AbortSignal): AsyncGenerator<ReadRunLogResponse> {
    const run = requireRun(request);
    const from = request.firstEntry || 1n;
    const until = request.limit === 0n ? undefined : from + request.limit;
    for await (const { firstEntry, entries, segment } of this.parts(run, from)) {
      if (signal.aborted) return;
      const nextEntry = firstEntry + BigInt(entries);
      yield { firstEntry, segment: Buffer.from(segment), nextEntry };
      if (until !== undefined && nextEntry >= until) return;
    }
  }

  async *stored(request: ReadStoredRunRequest): AsyncGenerator<ReadStoredRunResponse> {
    const run = requireRun(request);
    const row = await this.options.repository.stored(this.options.database, run.uid);
    if (!row) throw unknown(run);
    sameRun(run, row);
    const { snapshot } = row;
    const value = {
      phase: row.phase,
      quarantine: row.quarantine ?? '',
      archived: row.history_uri !== null,
      snapshotBytes: BigInt(snapshot?.length ?? 0),
      snapshotNextEntry: row.snapshot_seq ?? 0n,
      snapshotGraphs: row.snapshot_graphs ?? {},
    };
    yield { part: { $case: 'run', value } };
    for (let at = 0; snapshot && at < snapshot.length; at += partBytes)
      yield { part: { $case: 'snapshot', value: snapshot.subarray(at, at + partBytes) } };
  }

  private async *parts(run: Named, from: bigint): AsyncGenerator<LogPart> {
    const { database, repository } = this.options;
    const row = await repository.find(database, run.uid);
    if (row) sameRun(run, row);
    let next = from;
    for (;;) {
      const rows = await repository.page(database, run.uid, next, rowsAtOnce);
      if (rows.length === 0) break;
      for (const part of gathered(rows, next)) {
        yield part;
        next = part.firstEntry + BigInt(part.entries);
      }
      // The row asked for may be the last there is.
      if (rows.length < rowsAtOnce) break;
    }
    // It may have been archived while it was read: the object goes on where the rows ended.
    const now = await repository.find(database, run.uid);
    if (now && now.history_uri === null) {
      if (next === from && from === 1n) throw notFound(`the log of ${describe(run)} has not begun`);
      return;
    }
    yield* cutSegment(await this.object(run, now), 1n, next, partBytes);
  }

  /** The history of an ended run; where the row is lost (a restored database), under the name that one of its own would have. */
  private async object(run: Named, row: StoredRunRow | undefined): Promise<Uint8Array> {
    const uri = row?.history_uri ?? historyUri(run);
    if (uri === '') throw notFound(`${describe(run)} was erased`);
    try {
      return await readHistory(this.options.blob, uri, this.options.maxHistoryBytes);
    } catch (thrown) {
      const error = toAloftError(thrown);
      if (error.code !== 'NOT_FOUND') throw error;
      if (!row) throw unknown(run);
      throw new AloftError('DATA_LOSS', `the history of ${describe(run)} should lie at ${uri}, but does not`, {
        cause: error,
      });
    }
  }
}

/** Many small rows in one part; a large one in several. */
function* gathered(
  rows: readonly { first_seq: bigint; entry_count: number; segment: Buffer }[],
  from: bigint,
): Generator<LogPart> {
  let open: { firstEntry: bigint; entries: number; segments: Buffer[]; bytes: number } | undefined;
  const close = function* (): Generator<LogPart> {
    // Segments one behind the other are one segment.
    if (open) yield { firstEntry: open.firstEntry, entries: open.entries, segment: Buffer.concat(open.segments) };
    open = undefined;
  };
  for (const { first_seq: firstEntry, entry_count: entries, segment } of rows) {
    if (firstEntry + BigInt(entries) <= from) continue;
    if (firstEntry < from || segment.length > 2 * partBytes) {
      yield* close();
      yield* cutSegment(segment, firstEntry, from, partBytes);
      continue;
    }
    open ??= { firstEntry, entries: 0, segments: [], bytes: 0 };
    open.entries += entries;
    open.segments.push(segment);
    open.bytes += segment.length;
    if (open.bytes >= partBytes) yield* close();
  }
  yield* close();
}

function requireRun({ id, uid }: { id: WorkflowExecutionIdentifier | undefined; uid: string }): Named {
  if (!id || id.project === '' || id.domain === '' || id.name === '')
    throw invalidArgument('id: it must name an execution (project, domain, name)');
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uid))
    throw invalidArgument(`uid: "${uid}" is not the immutable id of a run, a UUID`);
  return { id, uid };
}

/** What is allowed was decided by the name: it must be the run's own. */
function sameRun(run: Named, row: StoredRunRow): void {
  const { org, project, domain, name } = run.id;
  if (row.org === org && row.project === project && row.domain === domain && row.name === name) return;
  throw failedPrecondition(`run ${run.uid} is not ${project}/${domain}/${name}`);
}

const describe = ({ id, uid }: Named): string => `run ${uid} (${id.project}/${id.domain}/${id.name})`;
const unknown = (run: Named): AloftError => notFound(`the propeller knows no ${describe(run)}`);
