import { AloftError } from '@aloft/errors';
import { LogSegment, type LogEntry } from '@aloft/idl/aloft/v1/engine';
import type { RunLogServiceService, StoredRun } from '@aloft/idl/aloft/v1/history';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { RpcClient } from '@aloft/rpc';

/** The propeller's, as admin calls it. */
export type RunLogClient = RpcClient<typeof RunLogServiceService>;

/** A run by both of its names: the one that was authorised, and the one that never recurs. */
export interface RunName {
  id: WorkflowExecutionIdentifier;
  uid: string;
}

/** An entry of a run's log with its number, from 1. */
export interface NumberedEntry {
  number: bigint;
  entry: LogEntry;
}

/** What the propeller has stored of a run beside its log. */
export interface Stored {
  run: StoredRun;
  snapshot: Uint8Array | undefined;
}

/** Version of LogSegment that this code reads. */
const logFormatVersion = 1;
/** For a snapshot; a log takes as long as its reader does, and ends with the connection. */
const deadlineMs = 60_000;

/** Logs of runs, as the propeller gives them out. */
export class RunLogs {
  constructor(private readonly client: () => RunLogClient) {}

  /** Entries in order from number `first` on; as many as there are, or `limit`. */
  async *entries(run: RunName, first: bigint, limit: bigint, signal?: AbortSignal): AsyncGenerator<NumberedEntry> {
    let left = limit;
    const parts = this.client().readRunLog({ ...run, firstEntry: first, limit }, { signal });
    for await (const { firstEntry, segment } of parts) {
      let number = firstEntry;
      for (const entry of entriesOf(run, firstEntry, segment)) {
        yield { number: number++, entry };
        if (limit > 0n && --left === 0n) return;
      }
    }
  }

  async stored(run: RunName, signal?: AbortSignal): Promise<Stored> {
    let found: StoredRun | undefined;
    const parts: Buffer[] = [];
    for await (const { part } of this.client().readStoredRun(run, { signal, deadlineMs })) {
      if (part?.$case === 'run') found = part.value;
      else if (part?.$case === 'snapshot') parts.push(part.value);
    }
    if (!found) throw new AloftError('INTERNAL', `the propeller said nothing of run ${run.uid}`);
    const snapshot = Buffer.concat(parts);
    if (BigInt(snapshot.length) !== found.snapshotBytes)
      throw new AloftError(
        'DATA_LOSS',
        `the snapshot of run ${run.uid} has ${found.snapshotBytes} bytes, of which ${snapshot.length} came`,
      );
    return { run: found, snapshot: snapshot.length > 0 ? snapshot : undefined };
  }
}

function entriesOf({ uid }: RunName, first: bigint, bytes: Uint8Array): LogEntry[] {
  const segment = LogSegment.decode(bytes);
  if (segment.formatVersion > logFormatVersion)
    throw new AloftError(
      'FAILED_PRECONDITION',
      `the log of run ${uid} from entry ${first} has format ${segment.formatVersion}, this binary reads up to ` +
        `${logFormatVersion}: roll admin out to the version of the propeller`,
    );
  return segment.entries;
}
