import { setTimeout as delay } from 'node:timers/promises';
import { isTerminal } from '@aloft/backend-kit';
import type { BlobStore } from '@aloft/blob';
import type { OutgoingMessage, PostgresBus, StreamReader } from '@aloft/bus';
import { commandEnvelope } from '@aloft/backend-kit/testing';
import type { Database } from '@aloft/database';
import { checkpointPrefix, inputsFile, rawOutputPrefix, type LaunchTaskEffect } from '@aloft/engine';
import { array, closure, Driver, INT, int, listOf, task } from '@aloft/engine/testing';
import { LaunchTask, TaskReport } from '@aloft/idl/aloft/v1/bus';
import { ContainerError_Kind, ErrorDocument } from '@aloft/idl/flyteidl/core/errors';
import { ExecutionError_ErrorKind, TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import type { AttemptRecord, EndRecord, RunRecord } from './evidence.js';
import type { Fate } from './fates.js';
import type { RunPlan } from './run-plan.js';

export interface PropellerSettings {
  bus: PostgresBus;
  /** On the bus's schema. */
  database: Database;
  blob: BlobStore;
  topic: string;
  /** Says the backend what is to befall the attempt. */
  prepare: (launch: LaunchTask, fate: Fate, runMs: number) => void;
  onPublished: () => void;
}

interface Attempt {
  record: AttemptRecord;
  effect: LaunchTaskEffect;
  run: Live;
}

interface Live {
  record: RunRecord;
  driver: Driver;
  /** Effects that were performed. */
  done: number;
  /** What was published last: an abort never overtakes its launch. */
  last: Promise<void>;
}

const shards = 1024;

/**
 * The part of the platform that talks to backends, without the rest of it: the engine itself decides what is launched, tried again and aborted, from
 * the reports that really come over the bus.
 */
export class Propeller {
  readonly runs: RunRecord[] = [];
  readonly incidents: string[] = [];
  private readonly attempts = new Map<string, Attempt>();
  private readonly readers: StreamReader[] = [];
  private readonly reading: Promise<void>[] = [];
  private waiters: (() => void)[] = [];
  private sent = 0;

  constructor(private readonly settings: PropellerSettings) {}

  start(): void {
    const { bus } = this.settings;
    for (let partition = 0; partition < bus.partitions('tasks.reports'); partition++) {
      const reader = bus.read({ topic: 'tasks.reports', partition }, 0n);
      this.readers.push(reader);
      this.reading.push(this.read(reader));
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.readers.map((reader) => reader.close()));
    await Promise.all(this.reading);
  }

  get inFlight(): number {
    return this.runs.filter(({ endedAt }) => endedAt === undefined).length;
  }

  attemptOf(id: string): AttemptRecord | undefined {
    return this.attempts.get(id)?.record;
  }

  async begin(plan: RunPlan): Promise<void> {
    const record: RunRecord = { plan, launchedAt: Date.now(), attempts: [] };
    const live: Live = { record, driver: driverOf(plan), done: 0, last: Promise.resolve() };
    this.runs.push(record);
    await this.flush(live);
    if (plan.abortAfterMs !== undefined) void this.abortLater(live, plan.abortAfterMs);
  }

  /** Resolves when that holds; it is looked at after each report. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.waiters.push(resolve));
  }

  private async abortLater(live: Live, ms: number): Promise<void> {
    await delay(ms);
    if (live.record.endedAt !== undefined) return;
    live.driver.abort('the plan says so');
    await this.flush(live);
  }

  private async read(reader: StreamReader): Promise<void> {
    for (let batch = await reader.next(500); batch; batch = await reader.next(500)) {
      const touched = new Set<Live>();
      for (const { envelope } of batch.messages) {
        const run = this.take(TaskReport.decode(envelope.payload));
        if (run) touched.add(run);
      }
      batch.acknowledge();
      for (const run of touched) await this.flush(run);
      for (const wake of this.waiters.splice(0)) wake();
    }
  }

  private take(report: TaskReport): Live | undefined {
    const attempt = this.attempts.get(idOf(report.attempt ?? { name: '', generation: 0 }));
    if (!attempt) {
      this.incidents.push(`a report is of an attempt that was never launched: ${report.attempt?.name}`);
      return undefined;
    }
    const { record, run, effect } = attempt;
    if (isTerminal(report.phase)) record.ends.push(endOf(report));
    try {
      run.driver.report(effect, report.phase, report);
    } catch (error) {
      this.incidents.push(`the engine refused a report of ${record.id}: ${(error as Error).message}`);
    }
    return run;
  }

  private flush(live: Live): Promise<void> {
    return (live.last = live.last.then(() => this.publish(live)));
  }

  /** Commands for whatever the engine wants begun or ended now. */
  private async publish(live: Live): Promise<void> {
    const { driver, record } = live;
    const messages: OutgoingMessage[] = [];
    for (; live.done < driver.effects.length; live.done++) {
      const effect = driver.effects[live.done];
      if (effect?.kind === 'launch') messages.push(this.message('launch', await this.launchOf(live, effect), effect));
      else if (effect?.kind === 'abort') {
        const known = this.attempts.get(idOf(effect.attempt)) as Attempt;
        known.record.abortedAt = Date.now();
        messages.push(this.message('abort', undefined, known.effect));
      }
    }
    const ended = driver.ended();
    if (ended && record.endedAt === undefined) {
      record.endedAt = Date.now();
      record.phase = driver.phase();
      if (ended.error) record.code = ended.error.code;
    }
    if (messages.length === 0) return;
    const { database, bus, onPublished } = this.settings;
    await database.transaction((tx) => bus.publish(tx, messages));
    onPublished();
  }

  private message(what: 'launch' | 'abort', launch: LaunchTask | undefined, { attempt }: LaunchTaskEffect) {
    const envelope =
      what === 'launch'
        ? commandEnvelope({ $case: 'launch', value: launch as LaunchTask })
        : commandEnvelope({ $case: 'abort', value: { attempt, reason: 'the plan says so' } });
    const shard = [...attempt.executionUid].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % shards, 7);
    return { topic: this.settings.topic, envelope: { ...envelope, id: `${envelope.id}/${this.sent++}`, shard } };
  }

  private async launchOf(live: Live, effect: LaunchTaskEffect): Promise<LaunchTask> {
    const { plan, attempts } = live.record;
    const { attempt, template, inputs, outputPrefix, dataPrefix, interruptible } = effect;
    const item = attempt.index ?? 0;
    const earlier = attempts.filter((other) => other.item === item).length;
    const fate = plan.items[item]?.[earlier] ?? 'ok';
    const raw = rawOutputPrefix('s3://aloft/raw', `${attempt.name}-${attempt.executionUid.slice(0, 8)}`);
    const launch = LaunchTask.fromPartial({
      attempt,
      template,
      inputs,
      inputsUri: inputsFile(dataPrefix),
      outputPrefix,
      rawOutputPrefix: raw,
      checkpointPrefix: checkpointPrefix(raw),
      interruptible,
      arraySize: effect.arraySize ?? 0,
    });
    const { target } = launch.template as TaskTemplate;
    if (target?.$case === 'container') target.value.args = ['work', outputPrefix];
    this.settings.prepare(launch, fate, plan.runMs);
    await this.writeError(outputPrefix, fate);
    const record: AttemptRecord = {
      run: plan.name,
      id: idOf(attempt),
      item,
      retry: earlier,
      fate,
      interruptible,
      launchedAt: Date.now(),
      ends: [],
    };
    attempts.push(record);
    this.attempts.set(record.id, { record, effect, run: live });
    return launch;
  }

  /** What the task would write of itself. */
  private async writeError(outputPrefix: string, fate: Fate): Promise<void> {
    if (fate !== 'recoverable' && fate !== 'final') return;
    const document = ErrorDocument.fromPartial({
      error: {
        code: fate === 'recoverable' ? 'Flaky' : 'BadInput',
        message: 'the plan says so',
        kind: fate === 'recoverable' ? ContainerError_Kind.RECOVERABLE : ContainerError_Kind.NON_RECOVERABLE,
        origin: ExecutionError_ErrorKind.USER,
      },
    });
    await this.settings.blob.put(`${outputPrefix}/error.pb`, ErrorDocument.encode(document).finish());
  }
}

export const idOf = ({ name, generation }: { name: string; generation: number }): string => `${name}.${generation}`;

function endOf({ phase, outcome, reason }: TaskReport): EndRecord {
  const error = outcome?.result?.$case === 'error' ? outcome.result.value : undefined;
  return {
    at: Date.now(),
    phase: TaskExecution_Phase[phase] ?? String(phase),
    ...(error ? { kind: ExecutionError_ErrorKind[error.kind], code: error.code, message: error.message } : {}),
    ...(error || reason === '' ? {} : { message: reason }),
  };
}

function driverOf({ name, retries, interruptible, isArray, items }: RunPlan): Driver {
  const metadata = {
    retries: { retries },
    interruptibleValue: { $case: 'interruptible' as const, value: interruptible },
  };
  const spec = closure({
    tasks: { t: { type: 'container', inputs: isArray ? { i: INT } : {}, metadata } },
    nodes: [isArray ? array('n0', task('item', 't'), { i: listOf(items.map((_, i) => int(i))) }) : task('n0', 't')],
  });
  for (const { template } of spec.tasks)
    if (template)
      template.target = {
        $case: 'container',
        value: { ...emptyContainer, image: 'faults:1', command: [], args: [] },
      };
  return new Driver(spec, {
    aborts: 'unheard',
    start: { id: { org: '', project: 'flytesnacks', domain: 'development', name }, uid: `uid-${name}` },
  });
}

const emptyContainer = { resources: undefined, env: [], config: [], ports: [], dataConfig: undefined, architecture: 0 };
