import { setTimeout as delay } from 'node:timers/promises';
import { NodeExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { newNodeState } from './fold-node.js';
import { newTaskState } from './fold-task.js';
import { KeptRows, mayBeStored, noRows, taskKeyOf, type RunRows } from './kept-rows.js';
import type { ProjectedNode } from './projection.repository.js';

const rows = (sequence: bigint, nodes = 0): RunRows => ({
  ...noRows(true),
  sequence,
  nodes: new Map(Array.from({ length: nodes }, (_, i) => [`n${i}`, {} as ProjectedNode])),
});

const nothing = { nodes: [], tasks: [] };

describe('rows kept between batches', () => {
  it('are given once, and only at the sequence that is stored', () => {
    const kept = new KeptRows(10);
    const mine = rows(5n);
    kept.put('a', mine, nothing);
    expect(kept.take('a', 5n)).toBe(mine);
    expect(kept.take('a', 5n)).toBeUndefined();
    kept.put('a', mine, nothing);
    expect(kept.take('a', 6n)).toBeUndefined();
    expect(kept.take('a', 5n)).toBeUndefined();
  });

  it('make room, the oldest first; of what is too large alone, the ids are kept', () => {
    const kept = new KeptRows(10);
    kept.put('a', rows(1n, 3), nothing);
    kept.put('b', rows(1n, 3), nothing);
    kept.put('a', rows(2n, 4), nothing);
    kept.put('c', rows(1n, 2), nothing);
    expect(kept.take('b', 1n)).toBeUndefined();
    expect([kept.take('a', 2n), kept.take('c', 1n)]).toEqual([rows(2n, 4), rows(1n, 2)]);
    kept.put('d', rows(1n, 10), nothing);
    const large = kept.take('d', 1n)!;
    expect(large.nodes.size).toBe(0);
    expect([mayBeStored(large, 'n9'), mayBeStored(large, 'n10')]).toEqual([true, false]);
  });

  it('of a large run are those of nodes under way; what is over would be read again', () => {
    const kept = new KeptRows(20_000);
    let mine = noRows(true);
    let looked = 0;
    for (let step = 0; step < 100; step++) {
      for (let i = 0; i < 1000; i++) {
        const nodeId = `n${step * 1000 + i}`;
        const node = { executionId: 1n, state: newNodeState(nodeId) };
        node.state.closure.phase = i === 0 ? Phase.RUNNING : Phase.SUCCEEDED;
        mine.nodes.set(nodeId, node);
        mine.tasks.set(nodeId, { executionId: 1n, state: newTaskState(nodeId, 0, Identifier.fromPartial({})) });
      }
      const before = mine.nodes.size + mine.tasks.size;
      kept.put('a', mine, nothing);
      if (mine.nodes.size + mine.tasks.size < before) looked += before;
      mine = kept.take('a', mine.sequence)!;
    }
    expect(mine.nodes.size).toBe(100);
    expect(mine.tasks.size).toBe(100);
    expect(mayBeStored(mine, 'n1')).toBe(true);
    expect(mayBeStored(mine, 'n1000')).toBe(false);
    // Every row is looked at twice at most, however many there are.
    expect(looked).toBeLessThan(2 * 200_000);
  });

  it('of a large run leave with the batch that ends them', () => {
    const kept = new KeptRows(20_000);
    const mine = noRows(true);
    const written = Array.from({ length: 1000 }, (_, i) => {
      const node = { executionId: 1n, state: newNodeState(`n${i}`) };
      node.state.closure.phase = i % 2 === 0 ? Phase.RUNNING : Phase.SUCCEEDED;
      const task = { executionId: 1n, state: newTaskState(`n${i}`, 0, Identifier.fromPartial({ name: 't' })) };
      mine.nodes.set(`n${i}`, node);
      mine.tasks.set(taskKeyOf(`n${i}`, 0, task.state.task), task);
      return { node, task };
    });
    kept.put('a', mine, { nodes: written.map(({ node }) => node), tasks: written.map(({ task }) => task) });
    expect([mine.nodes.size, mine.tasks.size, mine.shed.size]).toEqual([500, 500, 500]);
    expect([mayBeStored(mine, 'n1'), mayBeStored(mine, 'n2')]).toEqual([true, false]);
  });

  it('of runs of which nothing is told leave after a while', async () => {
    const kept = new KeptRows(10, 50);
    kept.put('still', rows(1n, 2), nothing);
    for (let i = 0; i < 10; i++) {
      await delay(10);
      kept.put('busy', rows(1n, 2), nothing);
    }
    expect([kept.take('still', 1n), kept.take('busy', 1n)]).toEqual([undefined, rows(1n, 2)]);
  });
});
