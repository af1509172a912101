import type { Effect, Graph, Run } from '@aloft/engine';
import type { Database, Transaction } from '@aloft/database';
import { AloftError, notFound, toAloftError } from '@aloft/errors';
import type { ReplayDifference, ReplayExecutionResponse } from '@aloft/idl/aloft/v1/history';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { noLogHere, requireOwnEngine } from '../executions/execution-lookup.js';
import type { ExecutionRow, ExecutionsRepository } from '../executions/executions.repository.js';
import { executionPhaseName, isTerminalExecution } from '../projection/phases.js';
import { describeKey, requireExecutionId, type NameKey } from '../registry/identifiers.js';
import { ReadModelComparison } from './compare-read-model.js';
import { differences, textOf } from './differences.js';
import type { FoldSlots } from './fold-slots.js';
import { FoldedReadModel } from './folded-read-model.js';
import type { ReadModelRepository } from './read-model.repository.js';
import type { FoldStep, RunFolder } from './run-folder.js';
import type { RunLogs, RunName, Stored } from './run-logs.js';

const mostDifferences = 1000;

/** Derives runs anew from their logs, and finds where what is stored of them has drifted. */
export class ReplayService {
  constructor(
    private readonly database: Database,
    private readonly executions: ExecutionsRepository,
    private readonly rows: ReadModelRepository,
    private readonly logs: RunLogs,
    private readonly folder: RunFolder,
    private readonly slots: FoldSlots,
  ) {}

  async replay(id: WorkflowExecutionIdentifier | undefined, signal: AbortSignal): Promise<ReplayExecutionResponse> {
    const key = requireExecutionId(id);
    return this.slots.with(() =>
      this.database.transaction(async (tx) => {
        await tx.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
        const row = await this.executions.find(tx, key);
        if (!row) throw notFound(`there is no execution ${describeKey(key)}`);
        requireOwnEngine({ key, row }, noLogHere);
        return this.compare(tx, key, row, signal);
      }),
    );
  }

  /** The read model first, what the propeller stores next, the log last: it has all that the others have, and may have more. */
  private async compare(
    tx: Transaction,
    key: NameKey,
    row: ExecutionRow,
    signal: AbortSignal,
  ): Promise<ReplayExecutionResponse> {
    const name: RunName = { id: key, uid: row.uid };
    const stored = await this.logs.stored(name, signal);
    const model = new FoldedReadModel(row);
    const replay = new Replay(stored, model, row.lastSequence, this.folder);
    await replay.all(this.folder.fold(name, signal));
    const comparison = new ReadModelComparison(model);
    const found = [...replay.differences, ...comparison.execution(row)];
    let [nodes, tasks] = [0n, 0n];
    for await (const node of this.rows.nodes(tx, row.id)) {
      nodes++;
      if (found.length < mostDifferences) found.push(...comparison.node(node));
    }
    for await (const task of this.rows.tasks(tx, row.id)) {
      tasks++;
      if (found.length < mostDifferences) found.push(...comparison.task(task));
    }
    if (found.length < mostDifferences) found.push(...comparison.missing());
    return {
      equal: found.length === 0,
      differences: found.slice(0, mostDifferences),
      entries: replay.entries,
      events: replay.events,
      nodes,
      tasks,
      readModelSequence: row.lastSequence,
      snapshotCompared: replay.snapshotCompared,
      behaviourFlags: replay.behaviourFlags,
      phase: replay.phase,
    };
  }
}

/** One replay under way. */
class Replay {
  readonly differences: ReplayDifference[] = [];
  entries = 0n;
  events = 0n;
  behaviourFlags = 0n;
  snapshotCompared = false;
  phase = 0;
  private readonly phases = new Set<number>();

  constructor(
    private readonly stored: Stored,
    private readonly model: FoldedReadModel,
    private readonly until: bigint,
    private readonly folder: RunFolder,
  ) {}

  async all(steps: AsyncGenerator<FoldStep>): Promise<void> {
    try {
      for await (const step of steps) await this.take(step);
    } catch (thrown) {
      // What the engine throws on is a difference; what keeps us from reading is none.
      if (thrown instanceof AloftError) throw thrown;
      this.differs(
        'log',
        `entry ${this.entries + 1n}`,
        '',
        `it cannot be applied: ${toAloftError(thrown).message}`,
        '',
      );
    }
    this.compareRun();
  }

  private async take({ number, entry, run, effects, changed }: FoldStep): Promise<void> {
    this.entries = number;
    this.behaviourFlags |= entry.behaviourFlags;
    if (!changed)
      this.differs('log', `entry ${number}`, '', 'it changes nothing', 'it was logged, so it changed something');
    for (const effect of effects) {
      if (effect.kind !== 'event') continue;
      this.events++;
      if (effect.event.sequence <= this.until) this.model.apply(effect.event);
    }
    this.phase = run.phase;
    this.phases.add(run.phase);
    if (number + 1n === this.stored.run.snapshotNextEntry) await this.compareSnapshot(run);
  }

  /** Both written by this version: an older one may have written the stored one in another form. */
  private async compareSnapshot(run: Run): Promise<void> {
    this.snapshotCompared = true;
    const restored = await this.folder.restore(this.stored, new Map<string, Graph>());
    const [derived, stored] = [run.snapshot(), restored.snapshot()];
    if (Buffer.from(derived).equals(stored)) return;
    const found = differences(describeRun(run), describeRun(restored));
    for (const { field, ...sides } of found) this.differs('snapshot', 'execution', field, sides.derived, sides.stored);
    if (found.length === 0) this.differs('snapshot', 'execution', 'bytes', textOf(derived), textOf(stored));
  }

  /** The propeller's row: written with the log, and perhaps read before its last entries. */
  private compareRun(): void {
    const { phase, snapshotNextEntry } = this.stored.run;
    const ok = isTerminalExecution(phase) ? phase === this.phase : this.phases.has(phase);
    if (!ok) this.differs('run', 'execution', 'phase', executionPhaseName(this.phase), executionPhaseName(phase));
    if (snapshotNextEntry > this.entries + 1n)
      this.differs('snapshot', 'execution', 'next entry', String(this.entries + 1n), String(snapshotNextEntry));
  }

  private differs(where: string, what: string, field: string, derived: string, stored: string): void {
    if (this.differences.length < mostDifferences) this.differences.push({ where, what, field, derived, stored });
  }
}

/** A run as far as it can be told: enough to say where two of them differ. */
function describeRun(run: Run): Record<string, unknown> {
  const outstanding = run.outstanding().map((effect: Effect) => textOf(effect));
  const { nodes, ...counts } = run.overview(Infinity);
  const byNode = Object.fromEntries(nodes.map(({ nodeId, ...rest }) => [nodeId, rest]));
  return { phase: executionPhaseName(run.phase), ...counts, nodes: byNode, outstanding };
}
