import type { OutgoingMessage } from '@aloft/bus';
import { ExecutionEvents, TaskCommand, type ExecutionEvent, type TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import {
  NodeExecution_Phase as NodePhase,
  TaskExecution_Phase as TaskPhase,
  WorkflowExecution_Phase as Phase,
} from '@aloft/idl/flyteidl/core/execution';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import type { Scheduler } from './scheduler.js';

const terminalRun: ReadonlySet<Phase> = new Set([Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED, Phase.TIMED_OUT]);
const terminalNode: ReadonlySet<NodePhase> = new Set([
  NodePhase.SUCCEEDED,
  NodePhase.FAILED,
  NodePhase.ABORTED,
  NodePhase.SKIPPED,
  NodePhase.TIMED_OUT,
  NodePhase.RECOVERED,
]);
/** What a node is not before all upstream nodes have succeeded, also where its attempt is launched before that (S-5). */
const mayNotComeEarly: ReadonlySet<NodePhase> = new Set([NodePhase.RUNNING, NodePhase.SUCCEEDED, NodePhase.FAILED]);
const terminalTask: ReadonlySet<TaskPhase> = new Set([TaskPhase.SUCCEEDED, TaskPhase.FAILED, TaskPhase.ABORTED]);

/** What the bus has told of one run. */
export interface Told {
  sequence: bigint;
  phase: Phase;
  outputs: Record<string, Literal> | undefined;
  outputsUri: string;
  error: string;
  nodes: Map<string, NodePhase>;
  /** Attempts over, as `<node>/<attempt>`; items of arrays apart. */
  attemptsOver: Set<string>;
  launched: Set<string>;
  /** Nodes with launched attempts that have not ended. */
  busy: Set<string>;
  /** Attempts that failed, by node. */
  failures: Map<string, number>;
  events: Uint8Array[];
}

export interface CheckerOptions {
  scheduler: Scheduler;
  /** Nodes of a run that may be busy at once; 0: all. */
  maxParallelism(uid: string): number;
  /** A gate waits for its signal. */
  gate(uid: string, signalId: string): void;
  /** Nodes that the node has to run after. */
  upstream(uid: string, nodeId: string): readonly string[];
  /** Whether what a node succeeded by began before the other node had succeeded. */
  beganBefore(uid: string, nodeId: string, upstream: string): boolean;
}

/** Watches everything that commits put on the bus, in order of commit, and says what must never be. */
export class Checker {
  readonly problems: string[] = [];
  readonly runs = new Map<string, Told>();

  constructor(private readonly options: CheckerOptions) {}

  of(uid: string): Told {
    let told = this.runs.get(uid);
    if (!told) {
      told = {
        sequence: 0n,
        phase: Phase.UNDEFINED,
        outputs: undefined,
        outputsUri: '',
        error: '',
        nodes: new Map(),
        attemptsOver: new Set(),
        launched: new Set(),
        busy: new Set(),
        failures: new Map(),
        events: [],
      };
      this.runs.set(uid, told);
    }
    return told;
  }

  hasEnded(uid: string): boolean {
    return terminalRun.has(this.of(uid).phase);
  }

  isOver({ executionUid, nodeId, retryAttempt, index }: TaskAttempt): boolean {
    const { phase, nodes, attemptsOver } = this.of(executionUid);
    const ofNode = nodes.get(nodeId);
    if (terminalRun.has(phase) || (ofNode !== undefined && terminalNode.has(ofNode))) return true;
    return index === undefined && attemptsOver.has(`${nodeId}/${retryAttempt}`);
  }

  problem(what: string): void {
    this.problems.push(what);
    this.options.scheduler.note(`PROBLEM ${what}`);
  }

  events({ envelope: message }: OutgoingMessage): void {
    const told = this.of(message.executionUid);
    told.events.push(message.payload);
    for (const event of ExecutionEvents.decode(message.payload).events) this.event(message.executionUid, told, event);
  }

  command({ envelope: message }: OutgoingMessage): void {
    const { command } = TaskCommand.decode(message.payload);
    if (command?.$case === 'launch') this.launch(message.executionUid, command.value.attempt!);
  }

  /** All of one commit has been looked at. */
  committed(uids: ReadonlySet<string>): void {
    for (const uid of uids) {
      const most = this.options.maxParallelism(uid);
      const { busy } = this.of(uid);
      if (most > 0 && busy.size > most)
        this.problem(`${uid}: ${busy.size} nodes are busy, at most ${most} may be: ${[...busy].join(', ')}`);
    }
  }

  private launch(uid: string, attempt: TaskAttempt): void {
    const told = this.of(uid);
    const name = `${attempt.name}/${attempt.generation}`;
    this.options.scheduler.note(`bus: launch ${name} of ${uid.slice(0, 8)}`);
    if (told.launched.has(name)) this.problem(`${uid}: ${name} is launched twice`);
    told.launched.add(name);
    // A failure node starts at once, whatever else is busy.
    if (!attempt.nodeId.endsWith('fn0')) told.busy.add(attempt.nodeId);
    if (terminalRun.has(told.phase)) this.problem(`${uid}: ${name} is launched after the run's end`);
    const node = told.nodes.get(attempt.nodeId);
    if (node !== undefined && terminalNode.has(node))
      this.problem(`${uid}: ${name} is launched after its node was ${NodePhase[node]}`);
    if (attempt.index === undefined && told.attemptsOver.has(`${attempt.nodeId}/${attempt.retryAttempt}`))
      this.problem(`${uid}: ${name} is launched after its end`);
  }

  private event(uid: string, told: Told, { sequence, event }: ExecutionEvent): void {
    if (sequence === 0n) {
      if (event?.$case === 'quarantined') this.problem(`${uid}: quarantined: ${event.value.reason}`);
      return;
    }
    if (sequence !== told.sequence + 1n)
      this.problem(`${uid}: event ${sequence} comes where ${told.sequence + 1n} is due`);
    told.sequence = sequence;
    if (terminalRun.has(told.phase)) this.problem(`${uid}: ${event?.$case ?? '?'} event ${sequence} after the end`);
    switch (event?.$case) {
      case 'workflow': {
        const { phase, outputResult } = event.value;
        told.phase = phase;
        if (outputResult?.$case === 'outputData') told.outputs = outputResult.value.literals;
        if (outputResult?.$case === 'outputUri') told.outputsUri = outputResult.value;
        if (outputResult?.$case === 'error') told.error = `${outputResult.value.code}: ${outputResult.value.message}`;
        this.options.scheduler.note(`event: run ${uid.slice(0, 8)} ${Phase[phase]}`);
        return;
      }
      case 'node': {
        const nodeId = event.value.id?.nodeId ?? '';
        const { phase } = event.value;
        const before = told.nodes.get(nodeId);
        if (before !== undefined && terminalNode.has(before))
          this.problem(`${uid}: node ${nodeId} was ${NodePhase[before]}, then ${NodePhase[phase]}`);
        told.nodes.set(nodeId, phase);
        if (mayNotComeEarly.has(phase))
          for (const upstream of this.options.upstream(uid, nodeId))
            if (told.nodes.get(upstream) !== NodePhase.SUCCEEDED)
              this.problem(`${uid}: node ${nodeId} was ${NodePhase[phase]} before ${upstream} had succeeded`);
            else if (phase === NodePhase.SUCCEEDED && this.options.beganBefore(uid, nodeId, upstream))
              this.problem(`${uid}: node ${nodeId} succeeded by a job that began before ${upstream} had succeeded`);
        if (terminalNode.has(phase)) told.busy.delete(nodeId);
        this.options.scheduler.note(`event: node ${nodeId} of ${uid.slice(0, 8)} ${NodePhase[phase]}`);
        return;
      }
      case 'task': {
        const { phase, retryAttempt, parentNodeExecutionId } = event.value;
        if (!terminalTask.has(phase)) return;
        const nodeId = parentNodeExecutionId?.nodeId ?? '';
        // Whose attempt was launched ahead, never began and was taken back waits again, and takes nobody's place.
        const isTakenBack = phase === TaskPhase.ABORTED && told.nodes.get(nodeId) === NodePhase.QUEUED;
        // Who has generated a workflow holds other nodes only.
        if (phase === TaskPhase.SUCCEEDED || isTakenBack) told.busy.delete(nodeId);
        if (phase === TaskPhase.FAILED) told.failures.set(nodeId, (told.failures.get(nodeId) ?? 0) + 1);
        told.attemptsOver.add(`${nodeId}/${retryAttempt}`);
        return;
      }
      case 'gateReached':
        this.options.gate(uid, event.value.signalId);
        return;
      default:
    }
  }

  /** Nodes that have not ended. */
  openNodes(uid: string): string[] {
    return [...this.of(uid).nodes]
      .filter(([, phase]) => !terminalNode.has(phase))
      .map(([nodeId, phase]) => `${nodeId} ${NodePhase[phase]}`);
  }
}
