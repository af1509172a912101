import type {
  ControlNode,
  ExecutionEvent,
  ExecutionSettings,
  LiteralsValue,
  NodeRevised,
  SetSignal,
  TaskAttempt,
  TaskReport,
} from '@aloft/idl/aloft/v1/bus';
import { ExecutionSettings as Settings, StartExecution, TaskReport as Report } from '@aloft/idl/aloft/v1/bus';
import { type EngineInput, LogEntry, type RequestAnswered } from '@aloft/idl/aloft/v1/engine';
import {
  ExecutionError,
  ExecutionError_ErrorKind,
  NodeExecution_Phase,
  TaskExecution_Phase,
  WorkflowExecution_Phase,
} from '@aloft/idl/flyteidl/core/execution';
import type { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import type { NodeExecutionEvent, TaskExecutionEvent, WorkflowExecutionEvent } from '@aloft/idl/flyteidl/event/event';
import type { Effect, Graph, LaunchTaskEffect, LostArray, Request, Run, StartChild } from '../api.js';
import { currentBehaviours } from '../behaviours.js';
import { compileGraph } from '../graph/compile-graph.js';
import { packGraph, unpackGraph } from '../graph/pack-graph.js';
import { createRun, restoreRun } from '../runs.js';
import { addDuration, compareTimes } from '../time.js';
import { MemoryStore } from './memory-store.js';
import { plain } from './closures.js';

const { SUCCEEDED, FAILED, ABORTED, TIMED_OUT } = NodeExecution_Phase;
const overNode = new Set([SUCCEEDED, FAILED, ABORTED, TIMED_OUT]);
const overTask = new Set([TaskExecution_Phase.SUCCEEDED, TaskExecution_Phase.FAILED, TaskExecution_Phase.ABORTED]);
/** How long the engine waits for the word of a host. */
const patience = { seconds: 30n, nanos: 0 };

export type Input = NonNullable<EngineInput['input']>;
export type Ask = Request['ask'];
export type Answer = NonNullable<RequestAnswered['answer']>;

export interface DriverOptions {
  inputs?: Record<string, Literal>;
  settings?: Partial<ExecutionSettings>;
  start?: Partial<StartExecution>;
  /** Answers a request; undefined leaves it unanswered until {@link Driver.answer}. Stores and loads are answered by default. */
  onRequest?: (ask: Ask, driver: Driver) => Answer | undefined;
  /** Of the binary that writes the log; this one's by default. */
  behaviours?: bigint;
  /** What hosts say of attempts that they are told to end: that they are over at once, only when {@link Driver.hear} is called, or nothing. */
  aborts?: 'answered' | 'late' | 'unheard';
  /** Called with every attempt that is launched, and with those that are told to end. */
  onLaunch?: (launch: LaunchTaskEffect) => void;
  onStop?: (attempt: TaskAttempt) => void;
  /** Called before every input with the run as it is, and what will be applied. */
  beforeEach?: (run: Run, entry: LogEntry) => void;
}

/** A shell without a clock, a database or a network: it feeds a run its inputs, and keeps what came out. */
export class Driver {
  /** Whether every driver restores its run from a snapshot before every input, and reads its graphs from their compact form. */
  static restarts = false;

  /** What arrays that didn't succeed had come to, by their nodes' ids. */
  readonly lost = new Map<string, LostArray>();
  private readonly observer = { arrayLost: (array: LostArray) => void this.lost.set(array.nodeId, array) };
  run: Run = createRun(this.observer);
  readonly log: LogEntry[] = [];
  readonly effects: Effect[] = [];
  readonly graphs = new Map<string, Graph>();
  readonly store = new MemoryStore();
  /** Launches that nobody reported the end of. */
  readonly launched: LaunchTaskEffect[] = [];
  readonly requests = new Map<bigint, Ask>();
  /** Attempts whose end was asked for; what their hosts say of it follows. */
  readonly stopped: TaskAttempt[] = [];
  /** Attempts that were launched and not said to be over by their hosts; since when they were to be told to end. */
  private readonly unheard = new Map<string, { attempt: TaskAttempt; told: Timestamp | undefined }>();
  readonly timers = new Map<bigint, Timestamp>();
  now: Timestamp = { seconds: 1000n, nanos: 0 };

  constructor(
    closure: CompiledWorkflowClosure,
    private readonly options: DriverOptions = {},
  ) {
    const digest = this.addGraph(closure);
    const start = StartExecution.create({
      id: { project: 'p', domain: 'd', name: 'exec', org: '' },
      uid: 'uid',
      inputs: { value: { $case: 'inline', value: { literals: options.inputs ?? {} } } },
      settings: { ...Settings.create({ rawOutputPrefix: 's3://raw' }), ...options.settings },
      closureUri: 's3://closure',
      closureDigest: digest,
      ...options.start,
    });
    this.apply({ $case: 'started', value: start });
  }

  /** Makes a graph known, as the shell does before it applies an input that names it; returns its digest. */
  addGraph(closure: CompiledWorkflowClosure): Buffer {
    const digest = Buffer.of(this.graphs.size + 1);
    const hex = digest[0]!.toString(16).padStart(2, '0');
    const graph = compileGraph(closure, hex);
    this.graphs.set(hex, Driver.restarts ? unpackGraph(packGraph(graph)) : graph);
    return digest;
  }

  readonly lookup = (digest: string): Graph => {
    const graph = this.graphs.get(digest);
    if (!graph) throw new Error(`testing: no graph ${digest}`);
    return graph;
  };

  apply(input: Input): boolean {
    if (Driver.restarts && this.log.length > 0) this.restart();
    const time = { ...this.now };
    const entry = LogEntry.create({
      time,
      behaviourFlags: this.options.behaviours ?? currentBehaviours,
      input: { input },
    });
    this.options.beforeEach?.(this.run, entry);
    const changed = this.run.apply(entry, this.lookup);
    if (changed) this.log.push(entry);
    const effects = this.run.takeEffects();
    this.effects.push(...effects);
    for (const effect of effects) this.perform(effect);
    // What is answered at once may take back what this batch began: it must have begun.
    this.flush();
    return changed;
  }

  private perform(effect: Effect): void {
    switch (effect.kind) {
      case 'launch':
        this.launched.push(effect);
        this.options.onLaunch?.(effect);
        this.routes.set(effect.attempt.name, effect.routed?.route?.backend);
        this.unheard.set(effect.attempt.name, { attempt: effect.attempt, told: undefined });
        break;
      case 'event':
        this.checkHeard(effect.event);
        break;
      case 'abort': {
        const at = this.launched.findIndex(({ attempt }) => attempt.name === effect.attempt.name);
        if (at >= 0) this.launched.splice(at, 1);
        const backend = effect.routed?.route?.backend;
        if (backend !== this.routes.get(effect.attempt.name))
          throw new Error(`testing: ${effect.attempt.name} is told to end at ${backend}, where it never went`);
        const known = this.unheard.get(effect.attempt.name);
        if (known?.told) throw new Error(`testing: ${effect.attempt.name} was told twice to end`);
        if (known) known.told = this.now;
        // As a host does.
        if (this.options.aborts !== 'unheard') this.stopped.push(effect.attempt);
        this.options.onStop?.(effect.attempt);
        break;
      }
      case 'set-timer':
        this.timers.set(effect.timer, effect.at);
        break;
      case 'cancel-timer':
        this.timers.delete(effect.timer);
        break;
      case 'request': {
        this.requests.set(effect.request, effect.ask);
        const answer =
          this.options.onRequest?.(effect.ask, this) ?? this.recall(effect.ask) ?? this.store.answer(effect.ask);
        if (answer) this.pending.push([effect.request, answer]);
        break;
      }
      default:
    }
  }

  /** Nothing is told to be over while some of it may still run, or begin; but for hosts that have had 30 s to say so. */
  private checkHeard({ event }: ExecutionEvent): void {
    if (this.options.behaviours !== undefined || (event?.$case !== 'node' && event?.$case !== 'task')) return;
    const isOver = event.$case === 'node' ? overNode.has(event.value.phase) : overTask.has(event.value.phase);
    if (!isOver) return;
    const nodeId = (event.$case === 'node' ? event.value.id : event.value.parentNodeExecutionId)?.nodeId;
    for (const { attempt, told } of this.unheard.values()) {
      if (attempt.nodeId !== nodeId || (told && compareTimes(this.now, addDuration(told, patience)) >= 0)) continue;
      if (event.$case === 'task' && attempt.index === undefined && attempt.retryAttempt !== event.value.retryAttempt)
        continue;
      throw new Error(`testing: ${nodeId} was told to be over while ${attempt.name} may run`);
    }
  }

  /** From what was told, as the shell does it from the log. */
  private recall(ask: Ask): Answer | undefined {
    if (ask.kind !== 'recall-outputs') return undefined;
    const { SUCCEEDED, RECOVERED } = NodeExecution_Phase;
    const last = this.events()
      .nodes.filter(({ id, phase }) => id?.nodeId === ask.nodeId && (phase === SUCCEEDED || phase === RECOVERED))
      .at(-1)?.outputResult;
    if (last?.$case === 'outputUri') {
      const value = { uri: last.value, size: 0n, digest: Buffer.alloc(0) };
      return { $case: 'recalled', value: { outputs: { value: { $case: 'stored', value } } } };
    }
    const outputs: LiteralsValue | undefined =
      last?.$case === 'outputData' ? { value: { $case: 'inline', value: last.value } } : undefined;
    return { $case: 'recalled', value: { outputs } };
  }

  /** Backend that each attempt went to. */
  private readonly routes = new Map<string, string | undefined>();
  private readonly pending: [bigint, Answer][] = [];
  private flushing = false;

  private flush(): void {
    if (this.flushing) return;
    this.flushing = true;
    do {
      for (let next = this.pending.shift(); next; next = this.pending.shift()) this.answer(next[0], next[1]);
      if (this.options.aborts === 'late') continue;
      while (this.stopped.length > 0) this.hear(0);
    } while (this.pending.length > 0);
    this.flushing = false;
  }

  /** The host of an attempt that was told to end says that it has. */
  hear(at: number): void {
    const [attempt] = this.stopped.splice(at, 1);
    this.unheard.delete(attempt!.name);
    const value = Report.create({ phase: TaskExecution_Phase.ABORTED, occurredAt: this.now });
    value.attempt = attempt;
    this.apply({ $case: 'taskReported', value });
  }

  answer(request: bigint, answer: Answer): boolean {
    this.requests.delete(request);
    return this.apply({ $case: 'answered', value: { request, answer } });
  }

  /** Answers the oldest unanswered request of a kind. */
  answerNext(kind: Ask['kind'], answer: Answer): boolean {
    for (const [request, ask] of this.requests) if (ask.kind === kind) return this.answer(request, answer);
    throw new Error(`testing: nobody asked for ${kind}`);
  }

  launchOf(nodeId: string, index?: number): LaunchTaskEffect {
    const found = this.launched.find(({ attempt }) => attempt.nodeId === nodeId && attempt.index === index);
    if (!found) throw new Error(`testing: ${nodeId} isn't launched; launched are ${this.launchedIds().join(', ')}`);
    return found;
  }

  launchedIds(): string[] {
    return this.launched.map(
      ({ attempt }) => attempt.nodeId + (attempt.index === undefined ? '' : `[${attempt.index}]`),
    );
  }

  report(launch: LaunchTaskEffect, phase: TaskExecution_Phase, more: Partial<TaskReport> = {}): boolean {
    if (
      phase >= 3 &&
      phase !== TaskExecution_Phase.INITIALIZING &&
      phase !== TaskExecution_Phase.WAITING_FOR_RESOURCES
    ) {
      const at = this.launched.indexOf(launch);
      if (at >= 0) this.launched.splice(at, 1);
      this.unheard.delete(launch.attempt.name);
    }
    const value = Report.create({ phase, occurredAt: this.now, ...more });
    value.attempt = launch.attempt;
    return this.apply({ $case: 'taskReported', value });
  }

  running(nodeId: string, index?: number): boolean {
    return this.report(this.launchOf(nodeId, index), TaskExecution_Phase.RUNNING);
  }

  succeed(nodeId: string, outputs: Record<string, Literal> = {}, index?: number): boolean {
    return this.succeedWith(this.launchOf(nodeId, index), { value: { $case: 'inline', value: { literals: outputs } } });
  }

  succeedWith(launch: LaunchTaskEffect, outputs: LiteralsValue): boolean {
    return this.report(launch, TaskExecution_Phase.SUCCEEDED, {
      outcome: { result: { $case: 'outputs', value: outputs }, deckUri: '', checkpointUri: '' },
    });
  }

  /** Fails the node's attempt; retryable user errors unless told otherwise. */
  fail(
    nodeId: string,
    options: {
      kind?: ExecutionError_ErrorKind;
      retryable?: boolean;
      code?: string;
      message?: string;
      index?: number;
      checkpoint?: string;
    } = {},
  ): boolean {
    const { kind = ExecutionError_ErrorKind.USER, retryable = false, code = 'Boom', message = 'boom' } = options;
    const error = ExecutionError.create({ code, message, kind });
    const phase = retryable ? TaskExecution_Phase.RETRYABLE_FAILED : TaskExecution_Phase.FAILED;
    return this.report(this.launchOf(nodeId, options.index), phase, {
      outcome: { result: { $case: 'error', value: error }, deckUri: '', checkpointUri: options.checkpoint ?? '' },
    });
  }

  signal(signalId: string, value: Literal, revision = 1n): boolean {
    const signal: SetSignal = { signalId, value, revision, principal: '' };
    return this.apply({ $case: 'signalSet', value: signal });
  }

  /** A person changes a node; each command has an id of its own unless one is given. */
  control(nodeId: string, control: ControlNode['control'], commandId = `c${++this.commands}`): boolean {
    const value: ControlNode = { commandId, nodeId, principal: 'me', cause: 'because', control };
    return this.apply({ $case: 'nodeControlled', value });
  }

  private commands = 0;

  /** Why the last control was refused; empty if it was not. */
  refusal(): string | undefined {
    return this.revisions().at(-1)?.refused;
  }

  revisions(): NodeRevised[] {
    return this.effects.flatMap((effect) =>
      effect.kind === 'event' && effect.event.event?.$case === 'nodeRevised' ? [effect.event.event.value] : [],
    );
  }

  childEnded(
    ask: StartChild,
    phase: WorkflowExecution_Phase,
    more: { outputs?: Record<string, Literal>; error?: ExecutionError } = {},
  ): boolean {
    return this.apply({
      $case: 'childEnded',
      value: {
        child: this.childId(ask),
        childUid: `uid-${ask.name}`,
        parent: { execution: this.run.id, executionUid: 'uid', nodeId: ask.nodeId, attempt: ask.attempt },
        phase,
        outputs: more.outputs && { value: { $case: 'inline', value: { literals: more.outputs } } },
        error: more.error,
      },
    });
  }

  childId(ask: StartChild) {
    return { project: 'p', domain: 'd', name: ask.name, org: '' };
  }

  abort(cause = 'because'): boolean {
    return this.apply({ $case: 'abortRequested', value: { cause, principal: 'me' } });
  }

  /** Lets time pass, firing every timer that comes due, in order. */
  advance(seconds: number): void {
    const until = { seconds: this.now.seconds + BigInt(Math.floor(seconds)), nanos: this.now.nanos };
    for (;;) {
      const due = [...this.timers]
        .filter(([, at]) => compareTimes(at, until) <= 0)
        .sort((a, b) => compareTimes(a[1], b[1]))[0];
      if (!due) break;
      this.timers.delete(due[0]);
      if (compareTimes(due[1], this.now) > 0) this.now = due[1];
      this.apply({ $case: 'timerFired', value: { timer: due[0] } });
    }
    this.now = until;
  }

  /** Goes on from a snapshot of the run as it is. */
  restart(): void {
    const snapshot = this.run.snapshot();
    const restored = restoreRun(snapshot, this.lookup, this.observer);
    if (!Buffer.from(restored.snapshot()).equals(snapshot))
      throw new Error("testing: a restored run isn't the run that was");
    this.run = restored;
  }

  /** Applies the whole log to a new run: its effects must be the same. */
  replay(): Effect[] {
    const run = createRun();
    return this.log.flatMap((entry) => {
      if (!run.apply(entry, this.lookup)) throw new Error('testing: a logged input changed nothing in the replay');
      return run.takeEffects();
    });
  }

  events(): ReturnType<typeof eventsOf> {
    return eventsOf(this.effects);
  }

  /** `n0:SUCCEEDED` in the order of the node events. */
  phases(): string[] {
    return this.events().nodes.map((event) => `${event.id?.nodeId}:${NodeExecution_Phase[event.phase]}`);
  }

  phase(): string {
    return WorkflowExecution_Phase[this.run.phase]!;
  }

  ended() {
    const ended = this.effects.filter((effect) => effect.kind === 'ended');
    return ended.length === 1 ? ended[0] : undefined;
  }

  /** The run's outputs as plain values. */
  outputs(): Record<string, unknown> {
    const outputs = this.ended()?.outputs;
    const literals = outputs && this.store.read(outputs);
    return Object.fromEntries(Object.entries(literals ?? {}).map(([name, literal]) => [name, plain(literal)]));
  }
}

/** Effects as text that doesn't tell decoded messages from made ones. */
export function textOf(effects: readonly Effect[]): string[] {
  return effects.map((effect) =>
    JSON.stringify(effect, (key, value: unknown) => {
      if (key === '_unknownFields') return undefined;
      return typeof value === 'bigint' ? `${value}n` : value;
    }),
  );
}

export function eventsOf(effects: readonly Effect[]) {
  const nodes: NodeExecutionEvent[] = [];
  const tasks: TaskExecutionEvent[] = [];
  const workflows: WorkflowExecutionEvent[] = [];
  const sequences: number[] = [];
  for (const effect of effects) {
    if (effect.kind !== 'event') continue;
    sequences.push(Number(effect.event.sequence));
    const event = effect.event.event;
    if (event?.$case === 'node') nodes.push(event.value);
    if (event?.$case === 'task') tasks.push(event.value);
    if (event?.$case === 'workflow') workflows.push(event.value);
  }
  return { nodes, tasks, workflows, sequences };
}
