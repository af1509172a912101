import { NodeExecution_Phase, TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import type { TaskExecutionEvent } from '@aloft/idl/flyteidl/event/event';
import type { LaunchTaskEffect } from '../api.js';
import { int, plain } from './closures.js';
import { Driver, type DriverOptions } from './driver.js';
import { NativeJobs, upstreamFailed } from './native-jobs.js';
import type { Fate, FateOf } from './oracle.js';
import { closuresOf, type Flow } from './random-flow.js';

/** Numbers from a seed: mulberry32. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** What becomes of each task, from a seed: most succeed at once, some after a failure, few never. */
export function fatesOf(seed: number): FateOf {
  return (nodeId, index): Fate => {
    // The first item's output stands for its array's: it always has one.
    if (index === 0) return { failures: 0, hopeless: false };
    let hash = seed;
    for (const char of `${nodeId}[${index ?? ''}]`) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
    const roll = randomOf(hash)(20);
    return { failures: roll < 4 ? 1 : roll === 4 ? 2 : 0, hopeless: roll === 5 };
  };
}

export interface SimulationOptions {
  fateOf?: FateOf;
  driver?: DriverOptions;
}

/** Runs a flow to its end, everything that can happen next happening in an order chosen by the seed, some of it twice. */
export class Simulation {
  readonly driver: Driver;
  readonly jobs = new NativeJobs();
  private readonly random: (below: number) => number;
  private readonly dynamics: Map<string, CompiledWorkflowClosure>;
  private readonly past: LaunchTaskEffect[] = [];

  constructor(
    flow: Flow,
    seed: number,
    private readonly input: number,
    options: SimulationOptions = {},
  ) {
    this.random = randomOf(seed);
    this.fateOf = options.fateOf ?? fatesOf(seed);
    const { root, dynamics } = closuresOf(flow);
    this.dynamics = dynamics;
    this.driver = new Driver(root, {
      ...options.driver,
      inputs: { x: int(this.input) },
      onLaunch: (launch) => this.jobs.launched(launch),
      onStop: (attempt) => this.jobs.ended({ attempt }, 'failed'),
    });
  }

  /** What one of the flow's dynamic tasks generates, made known to the driver. */
  generatedBy(task: string): { closureUri: string; closureDigest: Buffer } {
    return { closureUri: 's3://closure', closureDigest: this.driver.addGraph(this.dynamics.get(task)!) };
  }

  readonly fateOf: FateOf;
  /** Called after every step: may control nodes. */
  controls: ((random: (below: number) => number) => void) | undefined;

  /** To the end, or for so many steps. @throws Error if the run is stuck: it isn't over, and nothing is left that could happen. */
  finish(maxSteps = Infinity): void {
    const { driver } = this;
    for (let steps = 0; !driver.run.finished && steps < maxSteps; steps++) {
      if (steps > 20_000) throw new Error('testing: the run does not end');
      const launched = driver.launched.length;
      const timers = driver.timers.size > 0 ? 1 : 0;
      const asked = [...driver.requests].filter(([, ask]) => ask.kind === 'resolve-graph');
      const stopped = driver.stopped.length;
      const choices = launched + timers + asked.length + stopped;
      if (choices === 0) throw new Error(`testing: stuck in ${driver.phases().join(' ')}`);
      const choice = this.random(choices);
      if (choice < launched) this.work(driver.launched[choice]!);
      else if (choice >= choices - stopped) driver.hear(choices - 1 - choice);
      else if (choice < launched + asked.length) this.resolve(asked[choice - launched]!);
      else driver.advance(1);
      this.repeatSomething();
      this.controls?.(this.random);
    }
  }

  private work(launch: LaunchTaskEffect): void {
    const { driver } = this;
    const { nodeId, index, retryAttempt } = launch.attempt;
    const job = this.jobs.nameOf(launch, (task) => !this.dynamics.has(task));
    if (job !== '' && this.random(2) === 0 && driver.report(launch, TaskExecution_Phase.INITIALIZING, { job })) return;
    const may = this.jobs.may(launch);
    if (may === 'waits') return;
    if (may === 'runs' && this.random(3) === 0 && driver.report(launch, TaskExecution_Phase.RUNNING, { job })) return;
    this.past.push(launch);
    if (may === 'never') {
      this.jobs.ended(launch, 'failed');
      return void driver.report(launch, TaskExecution_Phase.ABORTED, upstreamFailed);
    }
    const fate = this.fateOf(nodeId, index);
    const failures = index === undefined ? this.failuresOf(nodeId) : retryAttempt;
    const fails = fate.hopeless || failures < fate.failures;
    // A job that succeeds is no success without its outputs.
    if (fails && !fate.hopeless && job !== '' && this.random(4) === 0) {
      this.jobs.ended(launch, 'succeeded');
      return void driver.succeedWith(launch, { value: { $case: 'inline', value: { literals: {} } } });
    }
    this.jobs.ended(launch, fails ? 'failed' : 'succeeded');
    if (fails) return void driver.fail(nodeId, { index, retryable: !fate.hopeless });
    if (this.dynamics.has(launch.template.id!.name)) {
      return void driver.report(launch, TaskExecution_Phase.SUCCEEDED, {
        outcome: {
          result: { $case: 'futures', value: { uri: launch.template.id!.name, size: 0n, digest: Buffer.alloc(0) } },
          deckUri: '',
          checkpointUri: '',
        },
      });
    }
    const inputs = driver.store.read(launch.inputs) ?? {};
    const value = index === undefined ? Number(plain(inputs['a'])) + Number(plain(inputs['b'])) + 1 : index * 10 + 1;
    driver.succeedWith(launch, { value: { $case: 'inline', value: { literals: { o: int(value) } } } });
  }

  /** Attempts that failed and counted: of those launched ahead not all do. */
  private failuresOf(nodeId: string): number {
    const isOf = ({ parentNodeExecutionId, phase }: TaskExecutionEvent): boolean =>
      parentNodeExecutionId?.nodeId === nodeId && phase === TaskExecution_Phase.FAILED;
    return this.driver.events().tasks.filter(isOf).length;
  }

  private resolve([request, ask]: [bigint, { kind: string; futuresUri?: string }]): void {
    this.driver.answer(request, { $case: 'graph', value: this.generatedBy(ask.futuresUri ?? '') });
  }

  /** What is over stays over, however often its end is told. */
  private repeatSomething(): void {
    const launch = this.past[this.random(this.past.length + 5)];
    if (launch && this.driver.report(launch, TaskExecution_Phase.SUCCEEDED)) {
      throw new Error(`testing: a report of ${launch.attempt.name}, which was over, changed something`);
    }
  }

  /** Last phase of every node, by unique id; start and end nodes apart. */
  lastPhases(): Map<string, string> {
    const phases = new Map<string, string>();
    for (const event of this.driver.events().nodes) {
      const nodeId = event.id?.nodeId ?? '';
      const before = phases.get(nodeId);
      if (before !== undefined && terminal.has(before)) {
        throw new Error(`testing: ${nodeId} was ${before}, then ${NodeExecution_Phase[event.phase]}`);
      }
      phases.set(nodeId, NodeExecution_Phase[event.phase]!);
    }
    for (const event of this.driver.events().nodes) {
      if (event.specNodeId === 'start-node' || event.specNodeId === 'end-node') phases.delete(event.id?.nodeId ?? '');
    }
    return phases;
  }
}

const terminal = new Set(['SUCCEEDED', 'FAILED', 'ABORTED', 'SKIPPED', 'TIMED_OUT', 'RECOVERED']);
