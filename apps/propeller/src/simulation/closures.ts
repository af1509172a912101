import {
  array,
  branch,
  child,
  closure,
  compare,
  ERROR,
  gate,
  INT,
  int,
  optional,
  sub,
  task,
  taskTemplate,
  workflow,
  type TaskSpec,
  type Value,
  type WorkflowSpec,
} from '@aloft/engine/testing';
import { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import { DynamicJobSpec } from '@aloft/idl/flyteidl/core/dynamic_job';
import type { Node } from '@aloft/idl/flyteidl/core/workflow';
import type { Flow, Ref, Step } from './flow.js';

/** Names that tie what the engine runs to the steps of a flow. */
export const taskName = (serial: number): string => `t${serial}`;
export const cleanName = (serial: number): string => `clean${serial}`;
export const planName = (serial: number): string => `plan${serial}`;
export const signalName = (serial: number): string => `signal${serial}`;
/** The serial in one of these names. */
export const serialIn = (name: string): number => Number(/\d+$/.exec(name)?.[0] ?? NaN);

interface Parts {
  tasks: Record<string, TaskSpec>;
  subs: Record<string, WorkflowSpec>;
}

/** The encoded closure of a run of the flow. */
export function closureOf(flow: Flow): Uint8Array {
  const parts: Parts = { tasks: {}, subs: {} };
  const spec = workflowOf(flow, parts, 'in.x');
  return CompiledWorkflowClosure.encode(closure({ ...spec, inputs: { x: INT }, ...parts })).finish();
}

/** What a dynamic task writes: the flow with its input as a constant. */
export function futuresOf(flow: Flow, input: number): Uint8Array {
  const parts: Parts = { tasks: {}, subs: {} };
  const spec = workflowOf(flow, parts, int(input));
  const template = workflow('generated', spec);
  return DynamicJobSpec.encode({
    nodes: template.nodes,
    minSuccesses: BigInt(template.nodes.length),
    outputs: template.outputs,
    tasks: Object.entries(parts.tasks).map(([name, each]) => taskTemplate(name, each)),
    subworkflows: Object.entries(parts.subs).map(([name, each]) => workflow(name, each)),
  }).finish();
}

function workflowOf(flow: Flow, parts: Parts, input: Value): WorkflowSpec {
  const valueOf = (ref: Ref): Value => {
    if (ref < 0) return input;
    return flow.steps[ref]!.kind === 'array' ? { promise: `n${ref}.o`, path: [0] } : `n${ref}.o`;
  };
  let failureNode: Node | undefined;
  if (flow.failureNode) {
    parts.tasks[cleanName(flow.serial)] = { inputs: { err: optional(ERROR) } };
    failureNode = task('fn0', cleanName(flow.serial));
  }
  return {
    inputs: { x: INT },
    nodes: flow.steps.map((step, at) => nodeOf(step, `n${at}`, parts, valueOf)),
    outputs: { o: valueOf(flow.output) },
    failAfter: flow.failAfter,
    failureNode,
  };
}

function taskOf(step: Step, inputs: TaskSpec['inputs']): TaskSpec {
  const cached = step.cache === 'no' ? {} : { discoverable: true, discoveryVersion: '1' };
  return {
    type: 'sim',
    inputs,
    outputs: { o: INT },
    metadata: {
      retries: { retries: step.retries },
      ...(step.limit > 0 ? { timeout: { seconds: BigInt(step.limit), nanos: 0 } } : {}),
      ...cached,
      cacheSerializable: step.cache === 'serialized',
    },
  };
}

function nodeOf(step: Step, id: string, parts: Parts, valueOf: (ref: Ref) => Value): Node {
  const [a, b] = [valueOf(step.ins[0]), valueOf(step.ins[1])];
  const options = { after: step.after.map((ref) => `n${ref}`) };
  const name = taskName(step.serial);
  switch (step.kind) {
    case 'task':
      parts.tasks[name] = taskOf(step, { a: INT, b: INT });
      return task(id, name, { a, b }, options);
    case 'dynamic':
      parts.tasks[name] = taskOf(step, { a: INT });
      return task(id, name, { a }, options);
    case 'sub':
      parts.subs[name] = workflowOf(step.flow!, parts, 'in.x');
      return sub(id, name, { x: a }, options);
    case 'child':
      return child(id, planName(step.serial), { x: a }, options);
    case 'array': {
      parts.tasks[name] = taskOf(step, { a: INT });
      const list = step.fates.map((_, index) => (index % 2 === 0 ? a : b));
      const parallelism = step.parallelism > 0 ? { parallelism: step.parallelism } : {};
      return array(id, task('item', name), { a: list }, { ...options, ...parallelism, minSuccesses: step.needed });
    }
    case 'sleep': {
      const duration = { seconds: BigInt(step.seconds), nanos: 0 };
      return gate(id, { $case: 'sleep', value: { duration } }, {}, options);
    }
    case 'approve':
      return gate(id, { $case: 'approve', value: { signalId: signalName(step.serial) } }, {}, options);
    case 'signal': {
      const value = { signalId: signalName(step.serial), type: INT, outputVariableName: 'o' };
      return gate(id, { $case: 'signal', value }, {}, options);
    }
    case 'branch': {
      const cases = step.cases!.map(({ limit, step: inner }, at): [ReturnType<typeof compare>, Node] => [
        compare('.v', '>', int(limit)),
        nodeOf(inner, `${id}c${at}`, parts, valueOf),
      ]);
      return branch(id, { '.v': a }, cases, nodeOf(step.otherwise!, `${id}else`, parts, valueOf), options);
    }
  }
}
