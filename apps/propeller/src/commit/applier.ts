import type { IncomingMessage } from '@aloft/bus';
import {
  executionPrefix,
  type Effect,
  type Graph,
  type LaunchTaskEffect,
  type ReleaseReservation,
  type Request,
} from '@aloft/engine';
import { errorMapping, toAloftError } from '@aloft/errors';
import { ExecutionEvent, TaskReport, WaitReason_Kind, type LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import type { LogEntry } from '@aloft/idl/aloft/v1/engine';
import { ExecutionError_ErrorKind, TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import { runFields, type Logger } from '@aloft/telemetry';
import { fitEvent } from '../events/fit-event.js';
import { childEnded, ownReport, taskCommand, type EncodedEvent } from '../events/outgoing.js';
import type { RunIdentity } from '../events/run-identity.js';
import type { PendingInput } from '../inputs/pending-input.js';
import { launchError, type LaunchBuilder } from '../launch/launch-builder.js';
import { toMs, toTimestamp, type LogClock } from '../runs/clock.js';
import type { Engine } from '../runs/engine.js';
import type { GraphCache } from '../runs/graph-cache.js';
import type { RunEntry } from '../runs/run-entry.js';
import { launchTrace } from '../trace/run-trace.js';
import type { CommitBatch, RunChange } from './batch.js';
import { encodeEntry } from './log-encoding.js';
import type { LiteralStore } from './literal-store.js';

/** Values above this travel by reference. */
export const maxInlineBytes = 32 * 1024;

export interface ApplierOptions {
  engine: Engine;
  graphs: GraphCache;
  launches: LaunchBuilder;
  literals: LiteralStore;
  clock: LogClock;
  /** Consumer group under which messages are parked. */
  group: string;
  logger: Logger;
}

/** What became of a timer or a request, for the parts that keep them. */
export interface AppliedEffects {
  timerSet(entry: RunEntry, timer: bigint, at: number): void;
  timerCancelled(entry: RunEntry, timer: bigint): void;
  quarantined(entry: RunEntry): void;
  /** One of a released key's messages is dealt with. */
  releaseSettled(message: IncomingMessage): void;
  /** Begins a request that only reads: its answer is applied after, and logged behind, what asked for it. */
  startEarly(entry: RunEntry, request: Request): boolean;
  /** Its row goes with the commit that says so: else whoever takes the run over would keep up a reservation that nobody gives back. */
  reservationOver(effect: ReleaseReservation): void;
  /** The answer came too late: nobody waits for it any more. */
  unwanted(entry: RunEntry, ask: Request['ask']): void;
}

/** Feeds inputs to runs in memory and turns what they want into the contents of a commit. Performs nothing itself. */
export class Applier {
  constructor(
    private readonly options: ApplierOptions,
    private readonly observer: AppliedEffects,
  ) {}

  /** The graph that an input needs and that is not here yet. */
  missingGraph(entry: RunEntry, input: PendingInput['input']): { digest: string; uri: string } | undefined {
    const needed = this.options.engine.runs.graphOf(input);
    if (!needed || entry.graphs.has(needed.digest)) return undefined;
    const here = this.options.graphs.peek(needed.digest);
    if (!here) return needed;
    entry.graphs.set(needed.digest, here);
    entry.graphUris.set(needed.digest, needed.uri);
    return undefined;
  }

  /** Applies one input to a run that is `ready`, with everything it needs in memory. */
  apply(entry: RunEntry, pending: PendingInput, batch: CommitBatch): void {
    const { engine, clock } = this.options;
    const { origin } = pending;
    const run = entry.run!;
    batch.partitions.add(entry.partition);
    const asked = origin.kind === 'answer' ? entry.open.get(origin.request) : undefined;
    if (origin.kind === 'answer') {
      entry.open.delete(origin.request);
      entry.asked.delete(origin.request);
    }
    // Logged with the start: whatever is configured later, where its attempts go stays as it is now.
    if (pending.input.input?.$case === 'started' && pending.input.input.value.settings)
      pending.input.input.value.settings.routing ??= this.options.launches.routing();
    const at = clock.now();
    entry.lastUsed = at;
    const time = toTimestamp(at);
    const logEntry: LogEntry = {
      time,
      behaviourFlags: engine.behaviourFlags,
      input: pending.input as LogEntry['input'],
    };
    const change = this.changeOf(entry, batch);
    if (origin.kind === 'timer') change.timers.set(origin.timer, undefined);
    const mark = batch.mark(change);
    try {
      const changed = run.apply(logEntry, (digest) => this.graph(entry, digest));
      for (const effect of run.takeEffects()) {
        this.take(entry, change, effect, at, time, batch);
        batch.effects += 1;
      }
      if (changed) batch.bytes += change.append(encodeEntry(logEntry, pending.encoded));
      else if (asked) this.observer.unwanted(entry, asked);
    } catch (error) {
      // Also an effect that can't be put into a message is the engine's mistake: its run stops, no other does.
      batch.rewind(change, mark);
      this.quarantine(entry, pending, error, batch);
      return;
    }
    this.settle(pending, batch);
    if (run.phase !== entry.phase) {
      entry.phase = run.phase;
      change.rowChanged = true;
    }
    if (run.finished && !entry.archiving) {
      entry.archiving = true;
      entry.attention = true;
      change.rowChanged = true;
      change.endedAt ??= at;
      batch.deeds.push({ kind: 'archive', entry });
    } else if (entry.open.size > 0 && !entry.attention) {
      entry.attention = true;
      change.rowChanged = true;
    }
  }

  /** The message is dealt with by this commit. */
  settle({ origin }: PendingInput, batch: CommitBatch): void {
    batch.inputs += 1;
    if (origin.kind === 'released') this.observer.releaseSettled(origin.message);
    if (origin.kind !== 'message') return;
    origin.applied();
    batch.settled.push(origin.group);
  }

  /** Sets a message aside with its key. */
  park(pending: PendingInput, reason: string, batch: CommitBatch): void {
    if ('message' in pending.origin) {
      const { message } = pending.origin;
      if (message.position !== null) batch.park(message, this.options.group, reason);
      // One without a position can't be parked: it is stored first, comes again with a position, and is parked then.
      else batch.messages.push({ topic: message.stream.topic, envelope: message.envelope });
      batch.partitions.add(message.stream.partition);
    }
    this.settle(pending, batch);
  }

  /** Stops one run and says so; the rest goes on. Its later messages are parked behind this one. */
  quarantine(entry: RunEntry, pending: PendingInput, thrown: unknown, batch: CommitBatch): void {
    const error = toAloftError(thrown);
    const kind = pending.input.input?.$case ?? 'empty input';
    const reason = `${kind} could not be applied: ${error.message}`;
    this.options.logger.error(
      { err: error, ...runFields(entry.identity?.id, entry.uid), input: kind },
      'run quarantined',
    );
    const change = this.changeOf(entry, batch);
    entry.state = 'quarantined';
    entry.quarantine = reason;
    entry.run = undefined;
    entry.open.clear();
    change.rowChanged = true;
    change.events.push(quarantineEvent(reason, false));
    this.park(pending, reason, batch);
    this.observer.quarantined(entry);
  }

  /** The run goes on. */
  released(entry: RunEntry, batch: CommitBatch): void {
    const change = batch.change(entry);
    change.rowChanged = true;
    change.events.push(quarantineEvent('', true));
  }

  private changeOf(entry: RunEntry, batch: CommitBatch): RunChange {
    const change = batch.change(entry);
    if (entry.begun) change.created = true;
    entry.begun = false;
    return change;
  }

  private graph(entry: RunEntry, digest: string): Graph {
    const graph = entry.graphs.get(digest) ?? this.options.graphs.peek(digest);
    if (!graph) throw new Error(`graph ${digest} is not loaded`);
    return graph;
  }

  private take(
    entry: RunEntry,
    change: RunChange,
    effect: Effect,
    at: number,
    time: Timestamp,
    batch: CommitBatch,
  ): void {
    const identity = entry.identity!;
    switch (effect.kind) {
      case 'event': {
        const { event } = effect;
        change.events.push(fitEvent(event));
        entry.times.observe(event, at, change.ended);
        return;
      }
      case 'launch':
        change.launches += 1;
        return this.launch(identity, effect, time, batch);
      case 'abort': {
        const overrides = identity.start.settings?.pluginOverrides ?? [];
        const backend = this.options.launches.backendOfAbort(effect, overrides);
        const value = { attempt: effect.attempt, reason: effect.reason };
        batch.messages.push(taskCommand(identity, backend, { $case: 'abort', value }, time));
        return;
      }
      case 'set-timer': {
        const due = toMs(effect.at);
        change.timers.set(effect.timer, due);
        this.observer.timerSet(entry, effect.timer, due);
        return;
      }
      case 'cancel-timer':
        change.timers.set(effect.timer, undefined);
        this.observer.timerCancelled(entry, effect.timer);
        return;
      case 'request':
        entry.open.set(effect.request, effect.ask);
        if (!this.observer.startEarly(entry, effect)) batch.deeds.push({ kind: 'request', entry, request: effect });
        return;
      case 'abort-child':
        batch.childAborts.push({ uid: entry.uid, shard: identity.shard, child: effect.child, cause: effect.cause });
        batch.deeds.push({ kind: 'effect', entry, effect });
        return;
      case 'release-reservation':
        this.observer.reservationOver(effect);
        batch.deeds.push({ kind: 'effect', entry, effect });
        return;
      case 'ended': {
        change.rowChanged = true;
        change.endedAt = at;
        const { parent } = identity.start;
        if (!parent) return;
        this.tellParent(identity, { ...effect, parent }, time, batch);
      }
    }
  }

  private tellParent(
    identity: RunIdentity,
    ended: { phase: number; outputs: LiteralsValue | undefined; error: unknown; parent: object },
    time: Timestamp,
    batch: CommitBatch,
  ): void {
    const value = {
      child: identity.id,
      childUid: identity.uid,
      parent: ended.parent,
      phase: ended.phase,
      outputs: ended.outputs,
      error: ended.error,
    } as Parameters<typeof childEnded>[1];
    if (!tooLarge(ended.outputs)) {
      batch.messages.push(childEnded(identity, value, time));
      return;
    }
    batch.prepareMessage(async () => {
      const outputs = await this.options.literals.outline(ended.outputs!, `${executionPrefix(identity.id)}/outputs.pb`);
      return childEnded(identity, { ...value, outputs }, time);
    });
  }

  private launch(identity: RunIdentity, effect: LaunchTaskEffect, time: Timestamp, batch: CommitBatch): void {
    const { launches, literals } = this.options;
    const unserved = launches.unserved(effect);
    if (unserved !== undefined) {
      if (!effect.routed?.route?.waits) {
        batch.messages.push(refusal(identity, effect, { code: 'BackendNotFound', message: unserved }, time));
        return;
      }
      batch.messages.push(waiting(identity, effect, unserved, time));
    }
    const { value } = effect.inputs;
    if (value?.$case === 'stored' && launches.needsInputValues(effect.template)) {
      batch.prepareMessage(async () => {
        let inputs: LiteralMap;
        try {
          inputs = await literals.load(effect.inputs);
        } catch (error) {
          if (errorMapping[toAloftError(error).code].bus === 'retry') throw error;
          return refusal(identity, effect, launchError(error), time);
        }
        return this.launchMessage(identity, effect, inputs, time);
      });
      return;
    }
    const built = this.tryBuild(identity, effect, value?.$case === 'inline' ? value.value : undefined);
    if ('refused' in built) {
      batch.messages.push(refusal(identity, effect, built.refused, time));
      return;
    }
    if (built.taskTemplateUri !== undefined || tooLarge(effect.inputs)) {
      batch.prepareMessage(() =>
        this.launchMessage(identity, effect, value?.$case === 'inline' ? value.value : undefined, time),
      );
      return;
    }
    const command = { $case: 'launch', value: built.launch } as const;
    batch.messages.push(taskCommand(identity, built.backend, command, time, built.encode));
  }

  /** A launch for which something has to be written first. */
  private async launchMessage(
    identity: RunIdentity,
    effect: LaunchTaskEffect,
    inputs: LiteralMap | undefined,
    time: Timestamp,
  ): Promise<ReturnType<typeof taskCommand>> {
    const built = this.tryBuild(identity, effect, inputs);
    if ('refused' in built) return refusal(identity, effect, built.refused, time);
    const { literals } = this.options;
    if (built.taskTemplateUri !== undefined) {
      await literals.put(built.taskTemplateUri, TaskTemplate.encode(effect.template).finish());
    }
    const value = tooLarge(effect.inputs)
      ? { ...built.launch, inputs: await literals.outline(effect.inputs, built.launch.inputsUri) }
      : built.launch;
    return taskCommand(identity, built.backend, { $case: 'launch', value }, time);
  }

  private tryBuild(
    identity: RunIdentity,
    effect: LaunchTaskEffect,
    inputs: LiteralMap | undefined,
  ): ReturnType<LaunchBuilder['build']> | { refused: { code: string; message: string } } {
    try {
      return this.options.launches.build(effect, inputs, launchTrace(identity, effect.attempt));
    } catch (error) {
      return { refused: launchError(error) };
    }
  }
}

/** The shell's own event: it stands outside the run's sequence, which the engine counts. */
function quarantineEvent(reason: string, released: boolean): EncodedEvent {
  const event: ExecutionEvent = {
    sequence: 0n,
    event: { $case: 'quarantined', value: { reason, released } },
    usage: undefined,
    waiting: undefined,
    route: undefined,
    itemPages: [],
  };
  return { sequence: 0n, bytes: ExecutionEvent.encode(event).finish() };
}

/** The launch lies on its backend's topic until there is a host that takes it; meanwhile the attempt says what it waits for. */
function waiting(
  identity: RunIdentity,
  effect: LaunchTaskEffect,
  reason: string,
  time: Timestamp,
): ReturnType<typeof ownReport> {
  const report = TaskReport.fromPartial({
    attempt: effect.attempt,
    phase: TaskExecution_Phase.QUEUED,
    // The launch itself was version 0.
    phaseVersion: 1,
    occurredAt: time,
    reason,
    backend: effect.routed?.route?.backend ?? '',
    interruptible: effect.interruptible,
    waitsFor: WaitReason_Kind.CAPACITY,
  });
  return ownReport(identity, report, time, 'waits');
}

/**
 * The task can't be launched as it stands. Told as the report of a failure, over the bus: durable, in order, and recorded in
 * the log like any other.
 */
function refusal(
  identity: RunIdentity,
  effect: LaunchTaskEffect,
  error: { code: string; message: string },
  time: Timestamp,
): ReturnType<typeof ownReport> {
  return ownReport(
    identity,
    {
      attempt: effect.attempt,
      phase: TaskExecution_Phase.FAILED,
      phaseVersion: 0,
      occurredAt: time,
      reason: error.message,
      logs: [],
      customInfo: undefined,
      outcome: {
        result: {
          $case: 'error',
          value: {
            code: error.code,
            message: error.message,
            errorUri: '',
            kind: ExecutionError_ErrorKind.USER,
            timestamp: time,
            worker: '',
          },
        },
        deckUri: '',
        checkpointUri: '',
      },
      usage: undefined,
      backend: 'propeller',
      interruptible: false,
      waitsFor: WaitReason_Kind.NONE,
      job: '',
      upstreamFailed: false,
    },
    time,
  );
}

/** The engine keeps values within the limit; this guards the bus against what it did not foresee. */
function tooLarge(value: LiteralsValue | undefined): boolean {
  if (value?.value?.$case !== 'inline') return false;
  return (
    roughSize(value.value.value) > maxInlineBytes &&
    LiteralMap.encode(value.value.value).finish().length > maxInlineBytes
  );
}

/** An upper bound for small maps without encoding them: only what may be large is encoded to be sure. */
function roughSize(map: LiteralMap): number {
  let size = 0;
  for (const [name, literal] of Object.entries(map.literals)) {
    const scalar = literal.value?.$case === 'scalar' ? literal.value.value.value : undefined;
    if (scalar?.$case !== 'primitive') return Infinity;
    const primitive = scalar.value.value;
    size += name.length * 3 + 64 + (primitive?.$case === 'stringValue' ? primitive.value.length * 3 : 0);
    if (literal.hash !== '' || Object.keys(literal.metadata).length > 0) return Infinity;
  }
  return size;
}
