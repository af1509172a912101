import { executionKey, shardOf, type Bus, type Consumer, type IncomingMessage, type Stream } from '@aloft/bus';
import type { Database } from '@aloft/database';
import { unavailable } from '@aloft/errors';
import { ExecutionEvents, type ExecutionEvent } from '@aloft/idl/aloft/v1/bus';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { AdminConfig } from '../config.js';
import { decodeEvents, eventsTopic, eventsType } from '../projection/decode-events.js';
import { EventQueue } from './event-queue.js';

export interface LiveEvent {
  id: WorkflowExecutionIdentifier;
  uid: string;
  event: ExecutionEvent;
}

/** A message of events, as it was received: decoded, thousands of them would be what the garbage collector spends its time on. */
interface RecentMessage {
  key: string;
  id: WorkflowExecutionIdentifier;
  uid: string;
  payload: Uint8Array;
  events: number;
}

/** Recent messages of a run; the first `gone` are so no more. */
interface Recent {
  messages: RecentMessage[];
  gone: number;
}

const beforeBeginning = 2n ** 63n - 1n;

/**
 * All events of all runs as they happen: this process's own tail of `executions.events`, fanned out to watchers. Recent events
 * are kept for a while, so that a watcher whose snapshot is a little older than the stream misses nothing.
 */
export class LiveEvents {
  private consumer: Consumer | undefined;
  private readonly byRun = new Map<string, Set<EventQueue<LiveEvent>>>();
  private readonly byDomain = new Map<string, Set<EventQueue<LiveEvent>>>();
  private readonly recentByRun = new Map<string, Recent>();
  /** All of them in order of arrival, oldest first from `oldest` on, and how many events they hold. */
  private recent: RecentMessage[] = [];
  private oldest = 0;
  private recentEvents = 0;
  /** Where the tail began, by partition, until the read model has passed it. */
  private begins: (bigint | undefined)[] | undefined;

  constructor(
    private readonly bus: Bus,
    private readonly database: Database,
    private readonly config: AdminConfig,
  ) {}

  async start(): Promise<void> {
    const consumer = this.bus.consume({
      topic: eventsTopic,
      group: 'admin-watch',
      database: this.database,
      mode: 'tail',
      handle: async (messages) => this.take(messages),
    });
    this.consumer = consumer;
    await consumer.caughtUp();
    const begins: bigint[] = [];
    for (const { stream, position } of consumer.status()) begins[stream.partition] = position;
    this.begins = begins;
  }

  async stop(): Promise<void> {
    await this.consumer?.close();
    const error = unavailable('this server shuts down; watch again at another');
    for (const queues of [...this.byRun.values(), ...this.byDomain.values()])
      for (const queue of queues) queue.fail(error);
  }

  /**
   * The stream that carries a run's events, if its read model may still lack some that were published before this tail
   * began, and where that was; `undefined` once {@link bridged} has said that it doesn't.
   */
  gapOf(id: WorkflowExecutionIdentifier): { stream: Stream; begins: bigint } | undefined {
    const partition = shardOf(executionKey(id)) % this.bus.partitions(eventsTopic);
    // Before the tail has begun, no position is enough: whoever watches by then waits for it.
    const begins = this.begins ? this.begins[partition] : beforeBeginning;
    return begins === undefined ? undefined : { stream: { topic: eventsTopic, partition }, begins };
  }

  /** The projection has passed the tail's beginning. */
  bridged({ partition }: Stream): void {
    if (this.begins) this.begins[partition] = undefined;
  }

  /** Events of one run: the recent ones, then what comes. `close` the queue in the end. */
  ofRun(id: WorkflowExecutionIdentifier): EventQueue<LiveEvent> {
    const key = executionKey(id);
    const queue = this.queueIn(this.byRun, key);
    const recent = this.recentByRun.get(key);
    for (const { id, uid, payload } of recent?.messages.slice(recent.gone) ?? [])
      for (const event of ExecutionEvents.decode(payload).events) queue.push({ id, uid, event });
    return queue;
  }

  /** Events of all runs of a project and domain, from now on. */
  ofDomain(org: string, project: string, domain: string): EventQueue<LiveEvent> {
    return this.queueIn(this.byDomain, domainKey(org, project, domain));
  }

  private queueIn(index: Map<string, Set<EventQueue<LiveEvent>>>, key: string): EventQueue<LiveEvent> {
    const queues = index.get(key) ?? new Set();
    index.set(key, queues);
    const queue = new EventQueue<LiveEvent>(this.config.watch.queueLength, () => {
      queues.delete(queue);
      if (queues.size === 0 && index.get(key) === queues) index.delete(key);
    });
    queues.add(queue);
    return queue;
  }

  private take(messages: readonly IncomingMessage[]): void {
    for (const { envelope } of messages) {
      const { execution: id, executionUid: uid } = envelope;
      if (envelope.type !== eventsType || !id) continue;
      const key = executionKey(id);
      const events = decodeEvents(envelope);
      this.keep({ key, id, uid, payload: envelope.payload, events: events.length });
      const watchers = this.byRun.get(key);
      const domainWatchers =
        this.byDomain.size > 0 ? this.byDomain.get(domainKey(id.org, id.project, id.domain)) : undefined;
      if (!watchers && !domainWatchers) continue;
      for (const event of events) {
        const live = { id, uid, event };
        for (const queue of watchers ?? []) queue.push(live);
        for (const queue of domainWatchers ?? []) queue.push(live);
      }
    }
  }

  private keep(message: RecentMessage): void {
    const ofRun = this.recentByRun.get(message.key);
    if (ofRun) ofRun.messages.push(message);
    else this.recentByRun.set(message.key, { messages: [message], gone: 0 });
    this.recent.push(message);
    this.recentEvents += message.events;
    while (this.recentEvents > this.config.watch.recentEvents && this.oldest < this.recent.length) {
      const gone = this.recent[this.oldest] as RecentMessage;
      this.oldest++;
      this.recentEvents -= gone.events;
      const rest = this.recentByRun.get(gone.key);
      if (rest) this.dropOldest(gone.key, rest);
    }
    // Taking off the front one by one would move the whole array each time.
    if (this.oldest > this.recent.length / 2) {
      this.recent = this.recent.slice(this.oldest);
      this.oldest = 0;
    }
  }

  private dropOldest(key: string, recent: Recent): void {
    recent.gone++;
    if (recent.gone === recent.messages.length) this.recentByRun.delete(key);
    else if (recent.gone > 256 && recent.gone * 2 > recent.messages.length) {
      recent.messages = recent.messages.slice(recent.gone);
      recent.gone = 0;
    }
  }
}

function domainKey(org: string, project: string, domain: string): string {
  return JSON.stringify([org, project, domain]);
}
