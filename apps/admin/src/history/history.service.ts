import type { Database } from '@aloft/database';
import { invalidArgument } from '@aloft/errors';
import { NodeExecution } from '@aloft/idl/flyteidl/admin/node_execution';
import { TaskExecution } from '@aloft/idl/flyteidl/admin/task_execution';
import type {
  GetExecutionAtRequest,
  GetExecutionAtResponse,
  HistoryEntry,
  StreamHistoryRequest,
} from '@aloft/idl/aloft/v1/history';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import type { AdminConfig } from '../config.js';
import { knownExecution, noLogHere, requireOwnEngine, type KnownExecution } from '../executions/execution-lookup.js';
import type { ExecutionsRepository } from '../executions/executions.repository.js';
import { compareTimes } from '../time.js';
import type { FoldSlots } from './fold-slots.js';
import { FoldedReadModel } from './folded-read-model.js';
import type { FoldStep, RunFolder } from './run-folder.js';
import type { NumberedEntry, RunLogs } from './run-logs.js';
import { snapshotOf } from './snapshots.js';
import { effectOf, summaryOf } from './summaries.js';

/** Room for nodes and tasks in an answer: stock clients take messages of 4 MiB. */
const maxSnapshotBytes = 3 * 1024 * 1024;
const entriesAtOnce = 100;

/** What happened in a run, and how it was at any moment. */
export class HistoryService {
  constructor(
    private readonly database: Database,
    private readonly executions: ExecutionsRepository,
    private readonly logs: RunLogs,
    private readonly folder: RunFolder,
    private readonly slots: FoldSlots,
    private readonly config: AdminConfig,
  ) {}

  async *stream(request: StreamHistoryRequest, signal: AbortSignal): AsyncGenerator<HistoryEntry> {
    const name = nameOf(await this.logged(request.id));
    const first = request.firstEntry || 1n;
    if (request.entriesOnly) {
      for await (const entry of this.logs.entries(name, first, request.limit, signal)) yield entryOf(entry);
      return;
    }
    const last = request.limit === 0n ? undefined : first + request.limit - 1n;
    const steps = this.folder.fold(name, signal);
    try {
      for (let done = false; !done;) {
        // A slot is held for the work only: who reads slowly keeps nobody waiting.
        const piece: HistoryEntry[] = [];
        done = await this.slots.with(() => gather(steps, first, last, piece));
        yield* piece;
      }
    } finally {
      await steps.return(undefined);
    }
  }

  /** As after the last entry that isn't later. Before the first, the run exists and nothing has happened. */
  async at(request: GetExecutionAtRequest, signal: AbortSignal): Promise<GetExecutionAtResponse> {
    const { moment } = request;
    if (!moment) throw invalidArgument('moment: missing; give a time or the number of an entry');
    const known = await this.logged(request.id);
    return this.slots.with(async () => {
      const model = new FoldedReadModel(known.row);
      let [entry, entries] = [0n, 0n];
      let entryTime: Timestamp | undefined;
      for await (const { number, entry: logged, effects } of this.folder.fold(nameOf(known), signal)) {
        entries = number;
        const later =
          moment.$case === 'entry' ? number > moment.value : compareTimes(logged.time as Timestamp, moment.value) > 0;
        if (later) continue;
        entry = number;
        entryTime = logged.time;
        for (const effect of effects) if (effect.kind === 'event') model.apply(effect.event);
      }
      const snapshot = snapshotOf(known, model, this.config.watch.snapshotRows);
      let room = maxSnapshotBytes;
      snapshot.nodes = snapshot.nodes.filter((node) => (room -= NodeExecution.encode(node).finish().length) >= 0);
      snapshot.tasks = snapshot.tasks.filter((task) => (room -= TaskExecution.encode(task).finish().length) >= 0);
      return { snapshot, entry, entryTime, entries };
    });
  }

  /** A run that has a log. */
  private async logged(id: WorkflowExecutionIdentifier | undefined): Promise<KnownExecution> {
    const known = await knownExecution(this.database, this.executions, id, 'id');
    requireOwnEngine(known, noLogHere);
    return known;
  }
}

/** Folds on, until there is a piece of the answer; resolves with whether that was the last. */
async function gather(
  steps: AsyncGenerator<FoldStep>,
  first: bigint,
  last: bigint | undefined,
  into: HistoryEntry[],
): Promise<boolean> {
  while (into.length < entriesAtOnce) {
    const { value: step, done } = await steps.next();
    if (done) return true;
    if (step.number >= first) into.push({ ...entryOf(step), ...causedBy(step) });
    if (step.number === last) return true;
  }
  return false;
}

function nameOf({ key, row }: KnownExecution) {
  return { id: key, uid: row.uid };
}

function entryOf({ number, entry: { time, behaviourFlags, input } }: NumberedEntry): HistoryEntry {
  return { number, time, behaviourFlags, input, summary: summaryOf(input), events: [], effects: [] };
}

function causedBy({ effects }: FoldStep): Pick<HistoryEntry, 'events' | 'effects'> {
  return {
    events: effects.flatMap((effect) => (effect.kind === 'event' ? [effect.event] : [])),
    effects: effects.flatMap((effect) => effectOf(effect) ?? []),
  };
}
