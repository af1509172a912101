import type { Random } from './random.js';

/**
 * Random workflows of all node kinds, as plain data: closures for the engine (closures.ts), answers of the oracle (oracle.ts) and what the
 * simulated backends do (sim-backend.ts) are all made from it, each on its own.
 */

/** The flow's input (-1), or an earlier step. */
export type Ref = number;

/** How one attempt ends that does not succeed. `hang`: it never does, until somebody stops it. */
export type Mishap = 'user' | 'system' | 'hang';

export interface Fate {
  /** Of the first attempts, in order; the next one is the last. */
  mishaps: Mishap[];
  /** Whether the last one fails for good instead of succeeding. */
  hopeless: boolean;
}

export type Kind = 'task' | 'array' | 'branch' | 'sub' | 'dynamic' | 'sleep' | 'approve' | 'signal' | 'child';

export interface Step {
  kind: Kind;
  /** Unique over the whole workflow, children included; names its task, launch plan or signal. */
  serial: number;
  ins: [Ref, Ref];
  after: Ref[];
  /** Of a sub-workflow, a dynamic task or a child. */
  flow?: Flow;
  /** Of a branch: the first case whose limit is below the value of its first input. */
  cases?: { limit: number; step: Step }[];
  otherwise?: Step;
  /** Of a task, dynamic task or array: how each item fares; a task has one. */
  fates: Fate[];
  retries: number;
  cache: 'no' | 'yes' | 'serialized';
  /** Time limit of an attempt, in seconds; 0 = none. */
  limit: number;
  /** Of an array: successes needed, and how many items run at once (0: all). */
  needed: number;
  parallelism: number;
  /** Of a sleep. */
  seconds: number;
  /** What a gate gets: a number, or 1 and 0 for approved and rejected. */
  signal: number;
}

export interface Flow {
  steps: Step[];
  output: Ref;
  failAfter: boolean;
  failureNode: boolean;
  /** Serial of its failure node's task. */
  serial: number;
}

/** Steps whose value others may read. */
export const hasValue = ({ kind }: Step): boolean => kind !== 'sleep' && kind !== 'approve';

const modulus = 1009;
/** What a task makes of its inputs, and an array's item of its element. */
export const taskValue = (serial: number, a: number, b: number): number => (a * 3 + b * 5 + serial + 1) % modulus;
export const itemValue = (serial: number, element: number): number => (element * 7 + serial) % modulus;

export interface Shape {
  maxSteps: number;
  maxDepth: number;
  /** How many of the steps only wait for the end of others. */
  onlyWait?: number;
}

const sure: Fate = { mishaps: [], hopeless: false };

export class FlowMaker {
  private serial = 0;

  constructor(
    private readonly random: Random,
    private readonly shape: Shape,
  ) {}

  flow(depth = this.shape.maxDepth): Flow {
    const { random } = this;
    const steps: Step[] = [];
    const valued: number[] = [];
    const count = 1 + random.below(this.shape.maxSteps);
    for (let at = 0; at < count; at += 1) {
      const step = this.step(valued, steps.length, depth, false);
      steps.push(step);
      if (hasValue(step)) valued.push(at);
    }
    return {
      steps,
      output: random.pick([-1, ...valued, ...valued]),
      failAfter: random.chance(0.5),
      failureNode: random.chance(0.2),
      serial: (this.serial += 1),
    };
  }

  private step(valued: readonly number[], before: number, depth: number, inCase: boolean): Step {
    const { random } = this;
    // Some only wait for the end of others, and read nothing of theirs.
    const onlyWaits = !inCase && before > 0 && random.chance(this.shape.onlyWait ?? 0.1);
    const kinds: Kind[] = onlyWaits ? ['task', 'task', 'task', 'task', 'task', 'task'] : ['task', 'task', 'task'];
    // Cases of a branch have one output type between them.
    if (!inCase) kinds.push('sleep', 'array', 'approve', 'signal');
    if (depth > 0) kinds.push('sub', 'branch', 'dynamic', 'child');
    const kind = random.pick(kinds);
    const refs = onlyWaits ? [-1] : [-1, ...valued];
    const step: Step = {
      kind,
      serial: (this.serial += 1),
      ins: [random.pick(refs), random.pick(refs)],
      after: onlyWaits || (!inCase && before > 0 && random.chance(0.25)) ? [random.below(before)] : [],
      fates: [sure],
      retries: random.below(3),
      cache: 'no',
      limit: 0,
      needed: 0,
      parallelism: 0,
      seconds: random.below(6),
      signal: kind === 'approve' ? (random.chance(0.9) ? 1 : 0) : random.below(20),
    };
    switch (kind) {
      case 'task':
        step.cache = random.pick(['no', 'no', 'no', 'yes', 'serialized']);
        if (step.cache === 'no' && random.chance(0.1)) step.limit = 20 + random.below(40);
        step.fates = [this.fate(step)];
        break;
      case 'dynamic':
        step.fates = [this.fate(step)];
        step.flow = this.flow(depth - 1);
        break;
      case 'array': {
        const size = 1 + random.below(4);
        step.cache = random.pick(['no', 'no', 'yes', 'serialized']);
        step.needed = Math.max(1, size - random.below(2));
        step.parallelism = random.pick([0, 0, 1, 2]);
        // The first item stands for the array where another step reads it: it always has a value.
        step.fates = Array.from({ length: size }, (_, index) => (index === 0 ? sure : this.fate(step)));
        break;
      }
      case 'sub':
      case 'child':
        step.flow = this.flow(depth - 1);
        break;
      case 'branch':
        step.cases = Array.from({ length: 1 + random.below(2) }, () => ({
          limit: random.below(800),
          step: this.step(valued, before, depth - 1, true),
        }));
        step.otherwise = this.step(valued, before, depth - 1, true);
        break;
      default:
    }
    return step;
  }

  private fate(step: Step): Fate {
    const { random } = this;
    const mishaps: Mishap[] = [];
    while (random.chance(0.25) && mishaps.length < 4) {
      mishaps.push(random.pick<Mishap>(step.limit > 0 ? ['user', 'system', 'hang', 'hang'] : ['user', 'system']));
    }
    const fate = { mishaps, hopeless: random.chance(0.04) };
    // Who takes its result from the catalog does not care how it would have fared itself: it has to come to the same.
    return step.cache !== 'no' && !isSure(step, fate) ? sure : fate;
  }
}

function isSure(step: Step, { mishaps, hopeless }: Fate): boolean {
  const user = mishaps.filter((mishap) => mishap !== 'system').length;
  return !hopeless && user <= step.retries && mishaps.length - user < 3;
}

/** Every step of a flow, also those inside other steps. */
export function* stepsOf(flow: Flow): Generator<Step> {
  for (const step of flow.steps) yield* within(step);
}

/** Those that belong to the run itself, and not to a child of it. */
export function* ownStepsOf(flow: Flow): Generator<Step> {
  for (const step of flow.steps) yield* within(step, false);
}

function* within(step: Step, children = true): Generator<Step> {
  yield step;
  if (step.flow && (children || step.kind !== 'child'))
    for (const inner of step.flow.steps) yield* within(inner, children);
  for (const { step: inner } of step.cases ?? []) yield* within(inner, children);
  if (step.otherwise) yield* within(step.otherwise, children);
}
