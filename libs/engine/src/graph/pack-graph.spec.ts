import { describe, expect, it } from '@jest/globals';
import type { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import { Node } from '@aloft/idl/flyteidl/core/workflow';
import fc from 'fast-check';
import { closure, closuresOf, flowArbitrary, INT, task } from '../testing/index.js';
import { compileGraph } from './compile-graph.js';
import { packedGraphVersion, packGraph, unpackGraph } from './pack-graph.js';
import { PackedNodes } from './packed-nodes.js';

function expectSame(source: CompiledWorkflowClosure): void {
  const graph = compileGraph(source, 'ab');
  const read = unpackGraph(packGraph(graph));
  expect(read.digest).toBe('ab');
  expect(read.tasks).toEqual(graph.tasks);
  expect(read.closure.launchPlans).toEqual(graph.closure.launchPlans);
  for (const [at, { spec, workflow, indexOf, ...arrays }] of graph.templates.entries()) {
    const { spec: readSpec, workflow: readWorkflow, indexOf: readIndexOf, ...readArrays } = read.templates[at]!;
    expect(readArrays).toEqual(arrays);
    expect(readWorkflow).toEqual({ ...workflow, nodes: [], failureNode: undefined });
    for (const [node, id] of arrays.ids.entries()) {
      expect(readSpec(node)).toEqual(spec(node));
      expect(readIndexOf(id)).toBe(indexOf(id));
    }
  }
}

describe('packed graphs', () => {
  it('say what the closures say', () => {
    fc.assert(
      fc.property(flowArbitrary(), (flow) => {
        const { root, dynamics } = closuresOf(flow);
        for (const each of [root, ...dynamics.values()]) expectSame(each);
      }),
      { numRuns: 100 },
    );
  });

  it('decode the nodes that are asked for, those in use once', () => {
    const encoded = Array.from({ length: 100_000 }, (_, at) => Node.encode(Node.create({ id: `n${at}` })).finish());
    let end = 0;
    const ends = Int32Array.from(encoded, ({ length }) => (end += length));
    const nodes = new PackedNodes(Buffer.concat(encoded), ends);
    for (let at = 0; at < 100_000; at += 10) {
      // As a run does: a node is looked at when it is launched, and again when some hundreds after it were.
      expect(nodes.get(at).id).toBe(`n${at}`);
      if (at >= 5_000) expect(nodes.get(at - 5_000).id).toBe(`n${at - 5_000}`);
    }
    expect(nodes.decoded).toBe(10_000);
  });

  it('of another version are refused', () => {
    const graph = compileGraph(closure({ tasks: { t: { outputs: { o: INT } } }, nodes: [task('n0', 't')] }), 'ab');
    const bytes = packGraph(graph);
    bytes[0] = packedGraphVersion + 2;
    expect(() => unpackGraph(bytes)).toThrow(
      `a packed graph of version ${packedGraphVersion + 1}; this engine reads version ${packedGraphVersion}`,
    );
  });
});
