import type { Bus, Consumer, ConsumerOptions, IncomingMessage, OutgoingMessage, ParkedMessage } from '@aloft/bus';
import { type Transaction } from '@aloft/database';
import {
  type AbortTask,
  type Envelope,
  type LaunchTask,
  type TaskAttempt,
  TaskCommand,
  TaskReport,
} from '@aloft/idl/aloft/v1/bus';
import { attemptKey } from '../host/attempt-key.js';
import { isTerminal } from '../outcome/phases.js';

export type Delivery = 'acknowledge' | 'reject' | 'lose';

/**
 * A bus for one backend host in one process: commands go in by hand, reports come out here. Commands that no host took stay
 * and reach the next one, as after a host's death.
 */
export class MemoryBus implements Pick<Bus, 'consume' | 'deliver'> {
  /** Every report in the order of arrival, taken or not. */
  readonly reports: TaskReport[] = [];
  /** What becomes of a delivery; may be changed at any time. */
  delivery: (messages: readonly OutgoingMessage[]) => Delivery | Promise<Delivery> = () => 'acknowledge';
  /** Runs between a batch's handling and its commit; throwing rolls back, and the batch comes again. */
  beforeCommit: () => void | Promise<void> = () => undefined;
  readonly parked: ParkedMessage[] = [];
  private readonly backlog: { envelope: Envelope; taken: () => void }[] = [];
  private handler: ConsumerOptions['handle'] | undefined;
  private options: ConsumerOptions | undefined;
  private pumping = false;
  private readonly waiters = new Set<() => void>();
  private position = 0n;

  /** Resolves when a host's commit has taken them. */
  async command(...commands: ({ launch: LaunchTask } | { abort: TaskAttempt; reason?: string })[]): Promise<void> {
    await this.raw(
      ...commands.map((command) => {
        if ('launch' in command) return commandEnvelope({ $case: 'launch', value: command.launch });
        const value: AbortTask = { attempt: command.abort, reason: command.reason ?? 'the test asked for it' };
        return commandEnvelope({ $case: 'abort', value });
      }),
    );
  }

  async raw(...envelopes: Envelope[]): Promise<void> {
    const taken = envelopes.map(
      (envelope) => new Promise<void>((resolve) => this.backlog.push({ envelope, taken: resolve })),
    );
    void this.pump();
    await Promise.all(taken);
  }

  consume(options: ConsumerOptions): Consumer {
    this.handler = (messages, tx) => options.handle(messages, tx);
    this.options = options;
    void this.pump();
    return {
      caughtUp: async () => undefined,
      status: () => [],
      release: async () => undefined,
      close: async () => this.detach(),
    };
  }

  /** As if the consuming process had died. */
  detach(): void {
    this.handler = undefined;
  }

  async deliver(messages: readonly OutgoingMessage[]): Promise<void> {
    const fate = await this.delivery(messages);
    for (const { envelope } of messages) this.reports.push(TaskReport.decode(envelope.payload));
    for (const wake of this.waiters) wake();
    if (fate === 'reject') throw new Error('the test rejects this delivery');
    if (fate === 'lose') await new Promise(() => undefined);
  }

  reportsOf(attempt: TaskAttempt): TaskReport[] {
    const key = attemptKey(attempt);
    return this.reports.filter((report) => report.attempt && attemptKey(report.attempt) === key);
  }

  /** The first report (past or to come) that satisfies the condition. */
  async report(attempt: TaskAttempt, condition: (report: TaskReport) => boolean): Promise<TaskReport> {
    return this.until(() => this.reportsOf(attempt).find(condition));
  }

  /** The attempt's terminal report. */
  async end(attempt: TaskAttempt): Promise<TaskReport> {
    return this.report(
      attempt,
      (report) => isTerminal(report.phase) && report.attempt?.generation === attempt.generation,
    );
  }

  async until<T>(look: () => T | undefined): Promise<T> {
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.waiters.delete(wake);
          resolve();
        };
        this.waiters.add(wake);
      });
    }
  }

  private async pump(): Promise<void> {
    if (this.pumping) return;
    this.pumping = true;
    try {
      while (this.handler && this.backlog.length > 0) {
        const batch = this.backlog.slice(0, this.options?.maxBatch ?? 500);
        if (await this.take(batch.map(({ envelope }) => envelope))) {
          this.backlog.splice(0, batch.length);
          for (const { taken } of batch) taken();
        } else await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      this.pumping = false;
    }
  }

  private async take(envelopes: readonly Envelope[]): Promise<boolean> {
    const handler = this.handler as ConsumerOptions['handle'];
    const topic = this.options?.topic ?? '';
    const effects: (() => void)[] = [];
    const tx = { afterCommit: (effect: () => void) => effects.push(effect) } as unknown as Transaction;
    const messages = envelopes.map<IncomingMessage>((envelope) => ({
      stream: { topic, partition: 0 },
      position: ++this.position,
      envelope,
    }));
    try {
      await handler(messages, tx);
      await this.beforeCommit();
      if (this.handler !== handler) return false;
      for (const effect of effects) effect();
      return true;
    } catch (error) {
      const [message] = messages;
      if (messages.length > 1 || !message || !(error instanceof Error) || error.name !== 'AloftError') return false;
      this.parked.push({ group: this.options?.group ?? '', message, reason: error.message, at: new Date() });
      return true;
    }
  }
}

export function commandEnvelope(command: NonNullable<TaskCommand['command']>): Envelope {
  const attempt = command.value.attempt as TaskAttempt;
  return {
    id: `${attempt.name}/${attempt.generation}/${command.$case}`,
    type: 'aloft.v1.TaskCommand',
    schemaVersion: 1,
    minReaderVersion: 1,
    key: attempt.name,
    execution: attempt.execution,
    executionUid: attempt.executionUid,
    shard: 7,
    traceparent: '',
    tracestate: '',
    principal: '',
    generation: attempt.generation,
    time: undefined,
    payload: Buffer.from(TaskCommand.encode({ command }).finish()),
  };
}
