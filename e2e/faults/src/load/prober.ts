import { executionKey, shardOf } from '@aloft/bus';
import { WorkflowExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { Client } from './client.js';
import { endedRun } from './follow.js';

export interface Recovery {
  recoveredAt?: number;
  /** Why not, or what else came of it. */
  wrong?: string;
}

/** Finds out when new work is done again: a run of one task on every partition of the bus, from launch to end. */
export class Prober {
  private count = 0;

  constructor(private readonly settings: { address: string; marks: string; partitions: number; limitMs: number }) {}

  /**
   * Resolves when one run of each partition, all launched now, has succeeded; what failed is told, and tried again.
   * The limit counts from `over`, when what a fault took away is back.
   */
  async recovered(over: Promise<unknown> = Promise.resolve()): Promise<Recovery> {
    const late = new AbortController();
    const { signal } = late;
    let timer: NodeJS.Timeout | undefined;
    void over.then(() => (timer = setTimeout(() => late.abort(), this.settings.limitMs)));
    const client = new Client(this.settings.address, { maxBackoffMs: 150, callDeadlineMs: 5_000 });
    let wrong: string | undefined;
    try {
      for (;;) {
        const number = this.count++;
        const probes = Array.from({ length: this.settings.partitions }, (_, partition) =>
          this.probe(client, this.nameOn(partition, number), signal),
        );
        const failed = (await Promise.allSettled(probes)).find(({ status }) => status === 'rejected');
        if (!failed) return { recoveredAt: Date.now(), wrong };
        if (signal.aborted)
          return { wrong: `no new work was done on every partition within ${this.settings.limitMs / 1000} s` };
        wrong ??= `a probe failed in a way that a stock client would not try again: ${String((failed as PromiseRejectedResult).reason)}`;
      }
    } finally {
      clearTimeout(timer);
      client.close();
    }
  }

  private async probe(client: Client, name: string, signal: AbortSignal): Promise<void> {
    await client.launch(
      name,
      { workflow: 'tasks.probe', inputs: {} },
      { ALOFT_FAULTS_MARKS: this.settings.marks },
      signal,
    );
    const state = { phase: WorkflowExecution_Phase.UNDEFINED, over: false };
    const watching = client.watch(name, { executionOnly: true, after: () => 0n, isOver: () => state.over, signal });
    for await (const { update } of watching) {
      if (update?.$case === 'snapshot') state.phase = update.value.execution?.closure?.phase ?? state.phase;
      else if (update?.$case === 'event' && update.value.event?.$case === 'workflow')
        state.phase = update.value.event.value.phase;
      state.over = endedRun.has(WorkflowExecution_Phase[state.phase]);
      if (state.over) break;
    }
    if (signal.aborted) throw new Error('too late');
    if (state.phase !== WorkflowExecution_Phase.SUCCEEDED)
      throw new Error(`${name} ended ${WorkflowExecution_Phase[state.phase]}`);
  }

  /** A name whose shard lies on the partition. */
  private nameOn(partition: number, number: number): string {
    for (let salt = 0; ; salt++) {
      const name = `probe-${number}-${partition}-${salt}`;
      if (shardOf(executionKey(Client.id(name))) % this.settings.partitions === partition) return name;
    }
  }
}
