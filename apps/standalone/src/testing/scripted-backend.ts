import { envelope, executionKey, type Bus, type StreamReader } from '@aloft/bus';
import { TaskCommand, TaskReport, type LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { literalOf } from '@aloft/literals';

type Report = Parameters<typeof TaskReport.fromPartial>[0];

/** What becomes of an attempt: reports in order; the last of a script that ends is terminal. */
export type Script = (launch: LaunchTask) => Report[];

/** Every output of the task is this number. */
export const succeeds = (launch: LaunchTask, value = 1): Report => ({
  phase: Phase.SUCCEEDED,
  outcome: {
    result: {
      $case: 'outputs',
      value: {
        value: {
          $case: 'inline',
          value: {
            literals: Object.fromEntries(
              Object.keys(launch.template?.interface?.outputs?.variables ?? {}).map((name) => [
                name,
                literalOf.integer(BigInt(value)),
              ]),
            ),
          },
        },
      },
    },
  },
});

/** A backend host in this process: what its script says is reported over the bus, until it is taken. */
export class ScriptedBackend {
  script: Script = (launch) => [{ phase: Phase.RUNNING }, succeeds(launch)];
  /** By node id, of the attempts that were launched. */
  readonly launched = new Map<string, LaunchTask>();
  private readonly readers: StreamReader[] = [];
  private closed = false;
  private waiters: (() => void)[] = [];

  constructor(private readonly bus: Bus) {
    const topic = 'tasks.commands.local';
    for (let partition = 0; partition < bus.partitions(topic); partition++) {
      const reader = bus.read({ topic, partition }, 0n);
      this.readers.push(reader);
      void this.consume(reader);
    }
  }

  /** Resolves with a node's launch, when there is one. */
  async launchOf(nodeId: string): Promise<LaunchTask> {
    for (;;) {
      const launch = this.launched.get(nodeId);
      if (launch) return launch;
      await new Promise<void>((resolve) => this.waiters.push(resolve));
    }
  }

  async report(launch: Pick<LaunchTask, 'attempt'>, report: Report): Promise<void> {
    const attempt = launch.attempt!;
    const at = Date.now();
    const occurredAt = { seconds: BigInt(Math.floor(at / 1000)), nanos: (at % 1000) * 1e6 };
    const message = TaskReport.fromPartial({ attempt, occurredAt, backend: 'local', ...report });
    const { phase, phaseVersion } = message;
    while (!this.closed) {
      try {
        return await this.bus.deliver([
          {
            topic: 'tasks.reports',
            envelope: envelope({
              id: `${attempt.executionUid}/${attempt.name}/${attempt.generation}/${phase}/${phaseVersion}`,
              type: 'aloft.v1.TaskReport',
              key: executionKey(attempt.execution!),
              execution: attempt.execution!,
              executionUid: attempt.executionUid,
              generation: attempt.generation,
              payload: TaskReport.encode(message).finish(),
            }),
          },
        ]);
      } catch {
        // The consumer went away before it committed: deliver again, as a host does.
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all(this.readers.map((reader) => reader.close()));
  }

  private async consume(reader: StreamReader): Promise<void> {
    for (;;) {
      const batch = await reader.next(1000);
      if (!batch) return;
      for (const { envelope: message } of batch.messages) {
        const { command } = TaskCommand.decode(message.payload);
        if (command?.$case === 'launch') void this.run(command.value);
        else if (command?.$case === 'abort')
          void this.report(command.value, { phase: Phase.ABORTED, reason: command.value.reason });
      }
      batch.acknowledge();
    }
  }

  private async run(launch: LaunchTask): Promise<void> {
    this.launched.set(launch.attempt!.nodeId, launch);
    const { waiters } = this;
    this.waiters = [];
    for (const waiter of waiters) waiter();
    for (const report of this.script(launch)) await this.report(launch, report);
  }
}
