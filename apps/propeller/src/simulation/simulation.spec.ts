import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { expectedOf } from './oracle.js';
import { FlowMaker, stepsOf, type Kind } from './flow.js';
import { Random } from './random.js';
import { simulate } from './world.js';

/** Time that a run of the tests gives to worlds that nobody has seen yet. */
const budgetMs = Number(process.env['ALOFT_SIMULATION_MS'] ?? 20_000);

describe('simulation', () => {
  it('worlds of new seeds come to what the oracle says, whatever fails in them', async () => {
    // In a process of its own, as built: many times as fast as within the test runner.
    const script = fileURLToPath(new URL('../../dist/simulation/run-seeds.js', import.meta.url));
    const { NODE_OPTIONS: _, ...env } = process.env;
    const child = spawn(process.execPath, [script, '--seconds', String(budgetMs / 1000)], { env });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number];
    console.info(output.trim());
    expect({ code, output }).toMatchObject({ code: 0 });
  }, 120_000);

  it('the same seed gives the same world, down to every event', async () => {
    for (let seed = 1; seed <= 10; seed += 1) expect(await simulate({ seed })).toEqual(await simulate({ seed }));
  }, 60_000);

  it('flows of all kinds of nodes are made, most of which can succeed', () => {
    const kinds = new Map<Kind, number>();
    let hopeful = 0;
    for (let seed = 0; seed < 500; seed += 1) {
      const flow = new FlowMaker(new Random(seed), { maxSteps: 5, maxDepth: 2 }).flow();
      for (const { kind } of stepsOf(flow)) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      if (expectedOf(flow, 3).value !== undefined) hopeful += 1;
    }
    expect([...kinds.keys()].sort()).toEqual(
      ['approve', 'array', 'branch', 'child', 'dynamic', 'signal', 'sleep', 'sub', 'task'].sort(),
    );
    expect(Math.min(...kinds.values())).toBeGreaterThan(50);
    expect(hopeful).toBeGreaterThan(250);
  });
});
