import { envelope, rememberPayload, type Bus, type OutgoingMessage } from '@aloft/bus';
import type { Database, Transaction } from '@aloft/database';
import { ExecutionEvents, type ExecutionEvent } from '@aloft/idl/aloft/v1/bus';
import { currentTrace } from '@aloft/telemetry';
import { GroupCommit, type Waiting } from '../registry/group-commit.js';
import { eventsTopic, eventsType } from '../projection/decode-events.js';
import type { DynamicClosures } from '../projection/dynamic-closures.js';
import { isTerminalExecution } from '../projection/phases.js';
import type { ProjectionRepository } from '../projection/projection.repository.js';
import { keyText } from '../registry/identifiers.js';
import { childEnded } from './child-ends.js';
import { EventBatch } from './event-batch.js';
import type { ForeignEvent } from './event-requests.js';
import type { EventRun, EventsRepository } from './events.repository.js';

interface Pending extends Waiting {
  event: ForeignEvent;
  principal: string;
  trace: ReturnType<typeof currentTrace>;
  resolve(): void;
}

/**
 * Writes foreign engines' events, many in one commit. Rows and the message that tells of them are in one transaction (A-63), so that whoever follows `executions.events` (live
 * views, notifier) hears of everything that is in the read model, the first event of a task included (Q-6).
 */
export class EventWriter {
  private readonly group = new GroupCommit<Pending>((batch) => this.commit(batch));

  constructor(
    private readonly database: Database,
    private readonly events: EventsRepository,
    private readonly rows: ProjectionRepository,
    private readonly dynamicClosures: DynamicClosures,
    private readonly bus: Bus,
  ) {}

  /** Resolves after the commit; rejects with what refuses the event, which then has changed nothing. */
  write(event: ForeignEvent, principal: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.group.add({ event, principal, trace: currentTrace(), resolve, reject });
    });
  }

  private async commit(batch: readonly Pending[]): Promise<void> {
    const refused = await this.database.transaction((tx) => this.apply(batch, tx));
    for (const pending of batch)
      if (refused.has(pending)) pending.reject(refused.get(pending));
      else pending.resolve();
  }

  private async apply(batch: readonly Pending[], tx: Transaction): Promise<Map<Pending, unknown>> {
    const events = batch.map(({ event }) => event);
    const keys = new Map(events.map(({ key }) => [keyText(key), key]));
    const state = new EventBatch(await this.events.lock(tx, [...keys.values()]));
    const wanted = state.wanted(events);
    state.load(
      ...(await Promise.all([
        this.rows.loadNodes(tx, wanted.nodes),
        this.rows.loadTasks(tx, wanted.tasks),
        this.events.existing(tx, wanted.children),
      ])),
    );
    const refused = new Map<Pending, unknown>();
    const messages: OutgoingMessage[] = [];
    for (const pending of batch) {
      try {
        const { run, event } = state.apply(pending.event);
        messages.push(messageOf(run, event, pending));
        if (endsRun(event)) messages.push(...(await this.toParent(run, pending.principal, tx)));
      } catch (error) {
        refused.set(pending, error);
      }
    }
    await this.save(state, tx);
    if (messages.length > 0) await this.bus.publish(tx, messages);
    return refused;
  }

  /** Our own engine waits for the end of a child, whoever runs that. */
  private async toParent(run: EventRun, principal: string, tx: Transaction): Promise<OutgoingMessage[]> {
    const parent = run.parent && (await this.events.ownParent(tx, run.parent.executionId));
    return parent ? [childEnded(run, parent, principal)] : [];
  }

  private async save(state: EventBatch, tx: Transaction): Promise<void> {
    const nodes = [...state.changedNodes];
    for (const node of nodes) if (node.state.dynamicWorkflowId) await this.dynamicClosures.store(node);
    for (const { execution, cluster } of state.movedRuns) await this.events.setCluster(tx, execution.id, cluster);
    this.rows.saveExecutions(
      tx,
      [...state.changedRuns].map(({ execution }) => execution),
    );
    await this.rows.saveNodes(tx, nodes);
    await this.rows.saveTasks(tx, [...state.changedTasks]);
  }
}

function messageOf(
  { key, execution }: EventRun,
  event: ExecutionEvent,
  { principal, trace }: Pending,
): OutgoingMessage {
  const value: ExecutionEvents = { events: [event], projected: true };
  const message = envelope({
    id: `event-${execution.uid}-${event.sequence}`,
    type: eventsType,
    payload: ExecutionEvents.encode(value).finish(),
    execution: key,
    executionUid: execution.uid,
    principal,
    traceparent: trace?.traceparent,
    tracestate: trace?.tracestate,
  });
  rememberPayload(message, value);
  return { topic: eventsTopic, envelope: message };
}

function endsRun({ event }: ExecutionEvent): boolean {
  return event?.$case === 'workflow' && isTerminalExecution(event.value.phase);
}
