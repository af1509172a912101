import { createPositionStore } from '@aloft/bus';
import type { Database, Transaction } from '@aloft/database';
import { invalidArgument, notFound } from '@aloft/errors';
import { WaitReason } from '@aloft/idl/aloft/v1/bus';
import {
  type ExecutionSnapshot,
  type WatchExecutionRequest,
  type WatchExecutionResponse,
  type WatchProjectRequest,
  type WatchProjectResponse,
} from '@aloft/idl/aloft/v1/watch';
import { NodeExecution } from '@aloft/idl/flyteidl/admin/node_execution';
import { TaskExecution } from '@aloft/idl/flyteidl/admin/task_execution';
import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { AdminConfig } from '../config.js';
import { toExecution } from '../executions/execution-answers.js';
import type { ExecutionReader } from '../executions/execution-reader.js';
import type { ExecutionRow, ExecutionsRepository } from '../executions/executions.repository.js';
import { toNodeExecution } from '../node-executions/node-answers.js';
import type { NodeExecutionsRepository } from '../node-executions/node-executions.repository.js';
import { isTerminalExecution } from '../projection/phases.js';
import { projectionGroup, type Applied, type ProjectionService } from '../projection/projection.service.js';
import { describeKey, requireExecutionId, type NameKey } from '../registry/identifiers.js';
import { toTaskExecution } from '../task-executions/task-answers.js';
import type { TaskExecutionsRepository } from '../task-executions/task-executions.repository.js';
import type { LiveEvent, LiveEvents } from './live-events.js';

/** Room for nodes and tasks in a snapshot: stock clients take messages of 4 MiB. */
const maxSnapshotBytes = 3 * 1024 * 1024;
/** While the projection, perhaps another process's, is behind the stream's beginning here: tried again after so long. */
const behindPauseMs = 25;
const longestPauseMs = 1_000;

interface Snapshot {
  uid: string;
  response: ExecutionSnapshot;
  over: boolean;
  /** Whether all events after it are seen by this process's tail. */
  bridged: boolean;
}

/** Live views (aloft.v1.WatchService): a snapshot, then every change after it exactly once, in order. */
export class WatchService {
  private readonly positions = createPositionStore(projectionGroup);

  constructor(
    private readonly database: Database,
    private readonly executions: ExecutionsRepository,
    private readonly reader: ExecutionReader,
    private readonly nodes: NodeExecutionsRepository,
    private readonly tasks: TaskExecutionsRepository,
    private readonly live: LiveEvents,
    private readonly projection: ProjectionService,
    private readonly config: AdminConfig,
  ) {}

  async *watchExecution(request: WatchExecutionRequest, signal: AbortSignal): AsyncGenerator<WatchExecutionResponse> {
    const key = requireExecutionId(request.id);
    // Before the snapshot: what happens while it is read waits in the queue.
    const queue = this.live.ofRun(key);
    try {
      let { afterSequence: last } = request;
      let uid = last === 0n ? undefined : await this.continues(key, last);
      const anew = async function* (this: WatchService, from: bigint) {
        const snapshot = await this.snapshotFrom(key, from, request.executionOnly, signal);
        if (!snapshot) return true;
        yield { update: { $case: 'snapshot' as const, value: snapshot.response } };
        last = snapshot.response.sequence;
        uid = snapshot.uid;
        return snapshot.over;
      }.bind(this);
      if (uid === undefined && (yield* anew(0n))) return;
      for (;;) {
        const batch = await queue.next(signal);
        if (batch === undefined) return;
        if ('dropped' in batch && (yield* anew(batch.dropped.event.sequence + 1n))) return;
        // A name may recur after an erase: events of another run of that name are none of this one's.
        const ofThisRun = 'items' in batch ? batch.items.filter((live) => live.uid === uid) : [];
        const fresh = ofThisRun.filter(({ event }) => outsideSequence(event) || event.sequence > last);
        const first = fresh.find(({ event }) => !outsideSequence(event))?.event.sequence;
        if (first !== undefined && first > last + 1n && (yield* anew(first))) return;
        for (const { event } of fresh) {
          if (!outsideSequence(event)) {
            if (event.sequence <= last) continue;
            last = event.sequence;
          }
          if (!request.executionOnly || event.event?.$case === 'workflow' || event.event?.$case === 'quarantined')
            yield { update: { $case: 'event', value: event } };
          if (endsRun(event.event)) {
            if (request.untilStored) await this.stored(key, uid as string, event.sequence, signal);
            return;
          }
        }
      }
    } finally {
      queue.close();
    }
  }

  /** Phase changes of the runs of a project and domain. After an overflow it goes on with what comes: it has no snapshot. */
  async *watchProject(request: WatchProjectRequest, signal: AbortSignal): AsyncGenerator<WatchProjectResponse> {
    const { org, project, domain } = request;
    if (project === '' || domain === '') throw invalidArgument('project, domain: both must be given');
    const queue = this.live.ofDomain(org, project, domain);
    try {
      for (;;) {
        const batch = await queue.next(signal);
        if (batch === undefined) return;
        for (const { id, event } of 'items' in batch ? batch.items : [])
          if (event.event?.$case === 'workflow' || event.event?.$case === 'quarantined') yield { id, event };
      }
    } finally {
      queue.close();
    }
  }

  /** The run's uid, if the recent events held here go on right after a sequence that the client has. */
  private async continues(key: NameKey, after: bigint): Promise<string | undefined> {
    const row = required(await this.reader.find(key), key);
    if (isTerminalExecution(Phase[row.phase as keyof typeof Phase])) return undefined;
    const queue = this.live.ofRun(key);
    const batch = queue.take();
    queue.close();
    const first = batch.find(({ event }) => !outsideSequence(event));
    // Where the read model has yet to pass the tail's beginning, what lies between the two is in neither.
    const upToDate = row.lastSequence === after && this.live.gapOf(key) === undefined;
    const goesOn = first ? first.event.sequence <= after + 1n : upToDate;
    return goesOn ? row.uid : undefined;
  }

  /**
   * A snapshot that holds all events before `sequence` (the stream was ahead of the read model, or events were dropped), and
   * after which this process's tail has everything.
   */
  private async snapshotFrom(
    key: NameKey,
    sequence: bigint,
    executionOnly: boolean,
    signal: AbortSignal,
  ): Promise<Snapshot | undefined> {
    for (let pause = behindPauseMs; !signal.aborted; pause = longer(pause)) {
      const snapshot = await this.snapshot(key, executionOnly);
      const behind = snapshot.response.sequence + 1n < sequence;
      if (!behind && (snapshot.bridged || snapshot.over)) return snapshot;
      // Where only the tail's beginning is waited for, any batch may have passed it.
      await this.applied(signal, (applied) => !behind || reaches(applied, snapshot.uid, sequence - 1n), pause);
    }
    return undefined;
  }

  /** Resolves when the read model has the run up to that sequence. */
  private async stored(key: NameKey, uid: string, sequence: bigint, signal: AbortSignal): Promise<void> {
    // Another process's projection tells nothing here: looked for less and less often, and not at once, since it has not heard of it sooner
    // than we. This one's tells when it is done.
    const begin = this.projection.reached(uid) === undefined ? behindPauseMs : longestPauseMs;
    for (let pause = begin, look = false; !signal.aborted; pause = longer(pause), look = true) {
      // Before looking: what is applied while we look is not missed.
      const moved = this.applied(signal, (applied) => reaches(applied, uid, sequence), pause);
      if ((this.projection.reached(uid) ?? -1n) >= sequence) return;
      if (look && required(await this.reader.find(key), key).lastSequence >= sequence) return;
      if (await moved) return;
    }
  }

  /** `true` when this process's projection says that what is wanted has been applied; `false` after a moment, or on abort. */
  private applied(signal: AbortSignal, wanted: (applied: Applied) => boolean, pauseMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const done = (told: boolean) => {
        off();
        clearTimeout(timer);
        signal.removeEventListener('abort', aborted);
        resolve(told);
      };
      const aborted = () => done(false);
      const off = this.projection.onApplied((applied) => wanted(applied) && done(true));
      const timer = setTimeout(aborted, pauseMs);
      signal.addEventListener('abort', aborted);
    });
  }

  private async snapshot(key: NameKey, executionOnly: boolean): Promise<Snapshot> {
    const gap = this.live.gapOf(key);
    // Often: one row says everything.
    if (executionOnly && !gap) return this.snapshotOf(required(await this.reader.find(key), key), true);
    return this.database.transaction(async (tx) => {
      await tx.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
      const row = required(await this.executions.find(tx, key), key);
      const [position = 0n] = gap ? await this.positions.load(tx, [gap.stream]) : [];
      const bridged = gap === undefined || position >= gap.begins;
      if (gap && bridged) this.live.bridged(gap.stream);
      const snapshot = this.snapshotOf(row, bridged);
      if (!executionOnly) await this.fill(tx, row.id, key, snapshot.response);
      return snapshot;
    });
  }

  private snapshotOf(row: ExecutionRow, bridged: boolean): Snapshot {
    const execution = toExecution(row);
    return {
      uid: row.uid,
      response: { execution, nodes: [], tasks: [], sequence: row.lastSequence, parentNodeIds: {}, waits: [] },
      over: isTerminalExecution(execution.closure?.phase ?? Phase.UNDEFINED),
      bridged,
    };
  }

  private async fill(tx: Transaction, executionId: bigint, key: NameKey, snapshot: ExecutionSnapshot): Promise<void> {
    const limit = this.config.watch.snapshotRows;
    const nodes = await this.nodes.first(tx, executionId, limit);
    const tasks = await this.tasks.first(tx, executionId, limit);
    let room = maxSnapshotBytes;
    for (const row of nodes) {
      const node = toNodeExecution(key, row);
      if ((room -= NodeExecution.encode(node).finish().length) < 0) return;
      snapshot.nodes.push(node);
      if (row.parentNodeId !== null) snapshot.parentNodeIds[row.nodeId] = row.parentNodeId;
      if (row.wait) snapshot.waits.push(WaitReason.decode(row.wait));
    }
    for (const task of tasks.map((row) => toTaskExecution(key, row))) {
      if ((room -= TaskExecution.encode(task).finish().length) < 0) return;
      snapshot.tasks.push(task);
    }
  }
}

function required(row: ExecutionRow | undefined, key: NameKey): ExecutionRow {
  if (!row) throw notFound(`there is no execution ${describeKey(key)}`);
  return row;
}

const reaches = (applied: Applied, uid: string, sequence: bigint): boolean => (applied.get(uid) ?? -1n) >= sequence;
const longer = (pauseMs: number): number => Math.min(2 * pauseMs, longestPauseMs);

/** Setting a run aside and its release have no number: told again they change nothing, so they are never missing or twice. */
function outsideSequence({ event }: LiveEvent['event']): boolean {
  return event?.$case === 'quarantined';
}

function endsRun(event: NonNullable<LiveEvent['event']>['event']): boolean {
  return event?.$case === 'workflow' && isTerminalExecution(event.value.phase);
}
