import { envelope, executionKey, type Bus, type OutgoingMessage, type StreamReader } from '@aloft/bus';
import { TaskCommand, TaskReport, type LaunchTask, type TaskAttempt, type TaskOutcome } from '@aloft/idl/aloft/v1/bus';
import { ExecutionError_ErrorKind, TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Literal, LiteralMap } from '@aloft/idl/flyteidl/core/literals';

export type Outcome =
  | { outputs: Record<string, Literal> }
  /** The system's failure if recoverable, unless a code is given: then it is the user's. */
  | { fail: string; recoverable?: boolean; checkpoint?: string; code?: string }
  | { futuresUri: string }
  /** Runs on until `report` is called, or it is aborted. */
  | 'running';

export type Script = (launch: LaunchTask, tries: number) => Outcome | Promise<Outcome>;

/** Output k in sorted order takes the value of input k in sorted order, as the `noop` tasks of the local backend do. */
export function echoOutputs(launch: LaunchTask): Record<string, Literal> {
  const inputs = launch.inputs?.value?.$case === 'inline' ? launch.inputs.value.value.literals : {};
  const names = Object.keys(launch.template?.interface?.outputs?.variables ?? {}).sort();
  const values = Object.keys(inputs).sort();
  return Object.fromEntries(names.map((name, k) => [name, inputs[values[k] ?? '']!]));
}

/**
 * A backend host in this process: takes `tasks.commands.local`, does what its script says, delivers reports until they are
 * acknowledged. It remembers what it was told, so that tests can count starts.
 */
export class ScriptedBackend {
  /** Attempt names, in order of launch; a name twice is a job launched twice. */
  readonly launches: string[] = [];
  readonly launched = new Map<string, LaunchTask>();
  readonly aborted: string[] = [];
  private readonly readers: StreamReader[] = [];
  private readonly tries = new Map<string, number>();
  private readonly running = new Set<Promise<void>>();
  private closed = false;
  private waiters: (() => void)[] = [];
  private reports: OutgoingMessage[] = [];
  private sending = false;

  constructor(
    private readonly bus: Bus,
    private readonly script: Script = (launch) => ({ outputs: echoOutputs(launch) }),
    topic = 'tasks.commands.local',
  ) {
    for (let partition = 0; partition < bus.partitions(topic); partition += 1) {
      const reader = bus.read({ topic, partition }, 0n);
      this.readers.push(reader);
      void this.consume(reader);
    }
  }

  /** Resolves when an attempt of that node was launched (or already is). */
  async until(ready: (backend: this) => boolean): Promise<void> {
    while (!ready(this)) await new Promise<void>((resolve) => this.waiters.push(resolve));
  }

  report(attempt: TaskAttempt, phase: Phase, outcome?: TaskOutcome, reason = ''): Promise<void> {
    return this.bus.deliver([this.message(attempt, phase, outcome, reason)]);
  }

  succeed(attempt: TaskAttempt, outputs: Record<string, Literal>): Promise<void> {
    return this.report(attempt, Phase.SUCCEEDED, outcomeOf({ outputs }));
  }

  /** Ends an attempt that runs. */
  end(attempt: TaskAttempt, outcome: Exclude<Outcome, 'running'>): Promise<void> {
    return this.report(attempt, 'fail' in outcome ? Phase.FAILED : Phase.SUCCEEDED, outcomeOf(outcome));
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all(this.readers.map((reader) => reader.close()));
  }

  private async consume(reader: StreamReader): Promise<void> {
    for (;;) {
      const batch = await reader.next(1000);
      if (!batch) return;
      for (const { envelope: message } of batch.messages) this.command(TaskCommand.decode(message.payload));
      batch.acknowledge();
    }
  }

  private command({ command }: TaskCommand): void {
    if (command?.$case === 'abort') {
      const attempt = command.value.attempt!;
      this.aborted.push(attempt.name);
      this.queue(this.message(attempt, Phase.ABORTED, undefined, command.value.reason));
    } else if (command?.$case === 'launch') {
      const launch = command.value;
      const { name } = launch.attempt!;
      this.launches.push(name);
      if (!this.launched.has(name)) {
        this.launched.set(name, launch);
        const running = this.run(launch).finally(() => this.running.delete(running));
        this.running.add(running);
      }
    }
    const { waiters } = this;
    this.waiters = [];
    for (const waiter of waiters) waiter();
  }

  private async run(launch: LaunchTask): Promise<void> {
    const attempt = launch.attempt!;
    const node = `${attempt.executionUid}/${attempt.nodeId}/${attempt.index ?? ''}`;
    const tries = this.tries.get(node) ?? 0;
    this.tries.set(node, tries + 1);
    const made = this.script(launch, tries);
    const outcome = made instanceof Promise ? await made : made;
    if (outcome === 'running') this.queue(this.message(attempt, Phase.RUNNING));
    else if ('fail' in outcome && outcome.recoverable) {
      this.queue(this.message(attempt, Phase.RETRYABLE_FAILED, outcomeOf(outcome)));
    } else {
      this.queue(this.message(attempt, 'fail' in outcome ? Phase.FAILED : Phase.SUCCEEDED, outcomeOf(outcome)));
    }
  }

  /** What is reported in one turn is delivered together. */
  private queue(message: OutgoingMessage): void {
    this.reports.push(message);
    if (this.sending) return;
    this.sending = true;
    setImmediate(() => {
      this.sending = false;
      const messages = this.reports;
      this.reports = [];
      void this.send(messages);
    });
  }

  private async send(messages: OutgoingMessage[]): Promise<void> {
    while (!this.closed) {
      try {
        return await this.bus.deliver(messages);
      } catch {
        // The consumer went away before it committed: deliver again, as a host does.
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  private message(attempt: TaskAttempt, phase: Phase, outcome?: TaskOutcome, reason = ''): OutgoingMessage {
    const at = Date.now();
    const report: TaskReport = {
      attempt,
      phase,
      phaseVersion: 0,
      occurredAt: { seconds: BigInt(Math.floor(at / 1000)), nanos: (at % 1000) * 1e6 },
      reason,
      logs: [],
      customInfo: undefined,
      outcome,
      usage: undefined,
      backend: 'local',
      interruptible: false,
      waitsFor: 0,
      job: '',
      upstreamFailed: false,
    };
    return {
      topic: 'tasks.reports',
      envelope: envelope({
        id: `${attempt.executionUid}/${attempt.name}/${attempt.generation}/${phase}`,
        type: 'aloft.v1.TaskReport',
        key: executionKey(attempt.execution!),
        execution: attempt.execution!,
        executionUid: attempt.executionUid,
        generation: attempt.generation,
        payload: TaskReport.encode(report).finish(),
      }),
    };
  }
}

function outcomeOf(outcome: Exclude<Outcome, 'running'>): TaskOutcome {
  if ('outputs' in outcome) {
    const map: LiteralMap = { literals: outcome.outputs };
    return {
      result: { $case: 'outputs', value: { value: { $case: 'inline', value: map } } },
      deckUri: '',
      checkpointUri: '',
    };
  }
  if ('futuresUri' in outcome) {
    const value = { uri: outcome.futuresUri, size: 0n, digest: Buffer.alloc(0) };
    return { result: { $case: 'futures', value }, deckUri: '', checkpointUri: '' };
  }
  const isSystems = outcome.recoverable === true && outcome.code === undefined;
  const kind = isSystems ? ExecutionError_ErrorKind.SYSTEM : ExecutionError_ErrorKind.USER;
  const value = {
    code: outcome.code ?? 'Scripted',
    message: outcome.fail,
    errorUri: '',
    kind,
    timestamp: undefined,
    worker: '',
  };
  return { result: { $case: 'error', value }, deckUri: '', checkpointUri: outcome.checkpoint ?? '' };
}
