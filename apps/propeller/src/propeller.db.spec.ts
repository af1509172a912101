import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Rig } from './testing/rig.js';
import { ScriptedBackend } from './testing/scripted-backend.js';
import { chain, fanOut } from './testing/workflows.js';

describe('Propeller on Postgres and its bus', () => {
  let rig: Rig;

  afterEach(() => rig.close());

  it('runs a chain, passing each value on, and leaves a tombstone and a history', async () => {
    rig = await Rig.open();
    const backend = new ScriptedBackend(rig.bus);
    rig.onClose(() => backend.close());
    await rig.started();
    const run = await rig.start(chain(5));
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect(backend.launches).toHaveLength(5);
    expect(rig.events.problems).toEqual([]);
    expect(rig.events.result(run.uid)).toMatchObject({ $case: 'outputData' });
  });

  it('runs a fan-out of 200', async () => {
    rig = await Rig.open();
    const backend = new ScriptedBackend(rig.bus);
    rig.onClose(() => backend.close());
    await rig.started();
    const run = await rig.start(fanOut(200));
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect(new Set(backend.launches).size).toBe(200);
    expect(backend.launches).toHaveLength(200);
    expect(rig.events.problems).toEqual([]);
  });
});
