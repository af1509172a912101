import { integerLiteral } from '@aloft/bench/shapes';
import {
  WorkflowExecution_Phase as Phase,
  type TaskExecution_Phase as TaskPhase,
} from '@aloft/idl/flyteidl/core/execution';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import { AttemptServiceClient } from '@aloft/idl/aloft/v1/attempts';
import { createClient } from '@aloft/rpc';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { BatchPlatform, jobIn, place } from './batch-platform.js';

// A cold interpreter an item.
jest.setTimeout(400_000);

interface Item {
  index: number;
  retryAttempt: number;
  phase: TaskPhase;
  /** Its job: `<array job>:<child>`, or a job of its own. */
  job: string;
}

// Real: the embedded platform in a process of its own, stock pyflyte, moto's Batch, whose children of array jobs are processes (pyflyte-map-execute).
describe('maps of stock flytekit as array jobs of AWS Batch (C-185, C-186, C-140…C-143)', () => {
  let platform: BatchPlatform;

  beforeAll(async () => {
    platform = await BatchPlatform.start('maps');
  });

  afterAll(() => platform?.close());

  async function run(workflow: string, values: number[]) {
    const literals = values.map((value) => integerLiteral(BigInt(value)));
    const list: Literal = { value: { $case: 'collection', value: { literals } }, hash: '', metadata: {} };
    const { closure, outputs } = await platform.run(`maps.${workflow}`, workflow, { values: list });
    return { closure, outputs: outputs['o0'], items: await itemsOf(workflow) };
  }

  async function itemsOf(name: string): Promise<Item[]> {
    const items: Item[] = [];
    for (const { attempts } of await platform.nodesOf(name))
      for (const { closure } of attempts)
        for (const { index, retryAttempt, phase, logs } of closure?.metadata?.externalResources ?? [])
          items.push({ index, retryAttempt, phase, job: jobIn(logs) });
    return items.sort((a, b) => a.index - b.index || a.retryAttempt - b.retryAttempt);
  }

  it('one array job: each child is an item, with its own input and the shared one, and its own output', async () => {
    const { closure, outputs, items } = await run('scaled', [4, 5, 6]);
    expect(Phase[closure.phase]).toBe('SUCCEEDED');
    expect(numbersIn(outputs)).toEqual([40n, 50n, 60n]);
    const [array = ''] = (items[0]?.job ?? '').split(':');
    expect(array).not.toBe('');
    expect(items.map(({ job }) => job)).toEqual([`${array}:0`, `${array}:1`, `${array}:2`]);
    // U-25: what its three children were given for as long as they ran, as Batch says it.
    const attempts = createClient(AttemptServiceClient, platform.platform.grpc);
    const { total } = await attempts.getUsage({ id: { org: '', ...place, name: 'scaled' }, limit: 10 });
    attempts.close();
    expect(total).toMatchObject({ attempts: 1, unknown: 0, reserved: 1 });
    expect(total?.cpuSeconds).toBeCloseTo(total?.seconds ?? 0, 3);
    expect(total?.cpuSeconds).toBeGreaterThan(3);
  });

  it('an item that fails once is tried again, one that fails for good is none where enough of them succeed', async () => {
    const { closure, outputs, items } = await run('half', [1, 2, 3, 4]);
    expect(Phase[closure.phase]).toBe('SUCCEEDED');
    expect(numbersIn(outputs)).toEqual([1n, 2n, undefined, 4n]);
    const [first, again] = [0, 1].map((attempt) => items.filter(({ retryAttempt }) => retryAttempt === attempt));
    expect(new Set(first?.map(({ job }) => job.split(':')[0])).size).toBe(1);
    // In an array of their own where both were noticed at once, else each as a job.
    expect(again?.map(({ index }) => index)).toEqual([1, 3]);
    expect(new Set(items.map(({ job }) => job)).size).toBe(items.length);
  });

  it('and the map fails where all have to, with what the item said', async () => {
    const { closure } = await run('every', [1, 3]);
    expect(Phase[closure.phase]).toBe('FAILED');
    const result = closure.outputResult;
    expect(result?.$case === 'error' ? result.value.message : '').toContain('no threes');
  });
});

/** Of optionals, too; none is `undefined`. */
function numbersIn(literal: Literal | undefined): (bigint | undefined)[] {
  if (literal?.value?.$case !== 'collection') throw new Error(`no list: ${JSON.stringify(literal)}`);
  return literal.value.value.literals.map(numberIn);
}

function numberIn({ value }: Literal): bigint | undefined {
  const scalar = value?.$case === 'scalar' ? value.value.value : undefined;
  if (scalar?.$case === 'union') return scalar.value.value && numberIn(scalar.value.value);
  const primitive = scalar?.$case === 'primitive' ? scalar.value.value : undefined;
  return primitive?.$case === 'integer' ? primitive.value : undefined;
}
