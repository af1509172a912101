import type { Node } from '@aloft/idl/flyteidl/core/workflow';
import type { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import fc from 'fast-check';
import {
  array,
  branch,
  closure,
  compare,
  gate,
  INT,
  int,
  sub,
  task,
  type TaskSpec,
  type Types,
  type Value,
  type WorkflowSpec,
} from './closures.js';

/** Small random workflows in a form of their own, from which both the engine's closures and the oracle's answers are made. */

/** The flow's input (-1), or an earlier step. */
export type Ref = number;

export interface Step {
  kind: 'task' | 'sub' | 'dynamic' | 'branch' | 'array' | 'sleep';
  /** Unique over the whole workflow; also the name of its task. */
  serial: number;
  ins: [Ref, Ref];
  after: Ref[];
  /** Of a sub-workflow or a dynamic task. */
  flow?: Flow;
  /** Of a branch: the first case whose limit is below the value of its first input. */
  cases?: { limit: number; step: Step }[];
  otherwise?: Step;
  /** Of an array. */
  size?: number;
  needed?: number;
}

export interface Flow {
  steps: Step[];
  output: Ref;
  failAfter: boolean;
}

/** What a dynamic task's flow has for its input. */
export const dynamicInput = 3;
export const retries = 1;

export interface FlowShape {
  maxSteps: number;
  maxDepth: number;
  /** Many steps that only wait for the end of others. */
  orderOnly?: boolean;
}

export function flowArbitrary(shape: FlowShape = { maxSteps: 6, maxDepth: 2 }): fc.Arbitrary<Flow> {
  return fc.gen().map((gen) => {
    let serial = 0;
    const pick = (max: number): number => gen(fc.nat, { max });
    const makeStep = (earlier: number[], depth: number, inner: boolean): Step => {
      const kinds: Step['kind'][] = ['task', 'task', 'task'];
      // Cases of a branch have one output type between them: no lists.
      if (!inner) kinds.push('sleep', 'array');
      if (depth > 0) kinds.push('sub', 'branch', 'dynamic');
      const refs = [-1, ...earlier];
      const kind = kinds[pick(kinds.length - 1)]!;
      const isOrdered = shape.orderOnly === true && !inner && earlier.length > 0 && pick(3) > 0;
      if (isOrdered) refs.length = 1;
      const step: Step = {
        kind,
        serial: serial++,
        ins: [refs[pick(refs.length - 1)]!, refs[pick(refs.length - 1)]!],
        after: isOrdered
          ? Array.from({ length: 1 + pick(1) }, () => earlier[pick(earlier.length - 1)]!)
          : !inner && pick(3) === 0 && earlier.length > 0
            ? [earlier[pick(earlier.length - 1)]!]
            : [],
      };
      if (kind === 'sub' || kind === 'dynamic') step.flow = makeFlow(depth - 1);
      if (kind === 'branch') {
        const cases = 1 + pick(1);
        step.cases = Array.from({ length: cases }, () => ({
          limit: pick(8),
          step: makeStep(earlier, depth - 1, true),
        }));
        step.otherwise = makeStep(earlier, depth - 1, true);
      }
      if (kind === 'array') {
        step.size = 1 + pick(3);
        step.needed = Math.max(1, step.size - pick(2));
      }
      return step;
    };
    const makeFlow = (depth: number): Flow => {
      const steps: Step[] = [];
      const valued: number[] = [];
      const count = 1 + pick(shape.maxSteps - 1);
      for (let at = 0; at < count; at++) {
        const step = makeStep(valued, depth, false);
        steps.push(step);
        if (step.kind !== 'sleep') valued.push(at);
      }
      return { steps, output: [-1, ...valued][pick(valued.length)]!, failAfter: pick(1) === 0 };
    };
    return makeFlow(shape.maxDepth);
  });
}

const nameOf = (step: Step): string => `t${step.serial}`;

/** The closure of a flow, and of every dynamic task's inside it by the task's name. */
export function closuresOf(flow: Flow): {
  root: CompiledWorkflowClosure;
  dynamics: Map<string, CompiledWorkflowClosure>;
} {
  const dynamics = new Map<string, CompiledWorkflowClosure>();
  const root = closureOf(flow, false, dynamics);
  return { root, dynamics };
}

function closureOf(
  flow: Flow,
  generated: boolean,
  dynamics: Map<string, CompiledWorkflowClosure>,
): CompiledWorkflowClosure {
  const tasks: Record<string, TaskSpec> = {};
  const subs: Record<string, WorkflowSpec> = {};
  const inputs: Types = generated ? {} : { x: INT };

  const workflowOf = (each: Flow, isGenerated: boolean): WorkflowSpec => {
    const valueOf = (ref: Ref): Value => {
      if (ref < 0) return isGenerated ? int(dynamicInput) : 'in.x';
      // An array's value is its first element.
      return each.steps[ref]!.kind === 'array' ? { promise: `n${ref}.o`, path: [0] } : `n${ref}.o`;
    };
    const nodeOf = (step: Step, id: string): Node => {
      const [a, b] = [valueOf(step.ins[0]), valueOf(step.ins[1])];
      const options = { after: step.after.map((ref) => `n${ref}`) };
      const metadata = { retries: { retries } };
      switch (step.kind) {
        case 'task':
          tasks[nameOf(step)] = { inputs: { a: INT, b: INT }, outputs: { o: INT }, metadata };
          return task(id, nameOf(step), { a, b }, options);
        case 'dynamic':
          tasks[nameOf(step)] = { inputs: { a: INT }, outputs: { o: INT }, metadata };
          dynamics.set(nameOf(step), closureOf(step.flow!, true, dynamics));
          return task(id, nameOf(step), { a }, options);
        case 'sub':
          subs[nameOf(step)] = workflowOf(step.flow!, false);
          return sub(id, nameOf(step), { x: a }, options);
        case 'array':
          tasks[nameOf(step)] = { inputs: { a: INT }, outputs: { o: INT }, metadata };
          return array(
            id,
            task('item', nameOf(step)),
            { a: Array.from({ length: step.size! }, () => a) },
            {
              ...options,
              minSuccesses: step.needed!,
            },
          );
        case 'sleep':
          return gate(
            id,
            { $case: 'sleep', value: { duration: { seconds: BigInt(1 + (step.serial % 5)), nanos: 0 } } },
            {},
            options,
          );
        case 'branch':
          return branch(
            id,
            { '.v': a },
            step.cases!.map(({ limit, step: inner }, at) => [compare('.v', '>', int(limit)), nodeOf(inner, `c${at}`)]),
            nodeOf(step.otherwise!, 'else'),
            options,
          );
      }
    };
    const out = valueOf(each.output);
    return {
      inputs: isGenerated ? {} : { x: INT },
      nodes: each.steps.map((step, at) => nodeOf(step, `n${at}`)),
      outputs: { o: out },
      failAfter: each.failAfter,
    };
  };

  const spec = workflowOf(flow, generated);
  return closure({ ...spec, inputs, tasks, subs });
}
