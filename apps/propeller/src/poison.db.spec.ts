import { randomUUID } from 'node:crypto';
import { envelope } from '@aloft/bus';
import { runs, type Run } from '@aloft/engine';
import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Database, Transaction } from '@aloft/database';
import { internal } from '@aloft/errors';
import { literalOf } from '@aloft/literals';
import { afterEach, describe, expect, it } from '@jest/globals';
import { pureEngine, type Engine } from './runs/engine.js';
import { Rig, type StartedRun } from './testing/rig.js';
import { ScriptedBackend } from './testing/scripted-backend.js';
import { chain, closureOf, signalNode } from './testing/workflows.js';

/** The real engine with a fault: it throws on the signals of some runs. */
function faulty(poisoned: ReadonlySet<string>): Engine {
  const guarded = (run: Run): Run =>
    new Proxy(run, {
      get(target, name) {
        const value = Reflect.get(target, name, target) as unknown;
        if (name !== 'apply') return typeof value === 'function' ? value.bind(target) : value;
        return (...[entry, graphs]: Parameters<Run['apply']>) => {
          if (entry.input?.input?.$case === 'signalSet' && poisoned.has(target.uid))
            throw new Error('impossible state');
          return target.apply(entry, graphs);
        };
      },
    });
  return {
    ...pureEngine,
    runs: {
      ...runs,
      create: () => guarded(runs.create()),
      restore: (snapshot, graphs) => guarded(runs.restore(snapshot, graphs)),
    },
  };
}

/** Does not understand the log of one run, nor its snapshot. */
function forgetful(uid: string): Engine {
  const { runs } = pureEngine;
  const refuse = (run: Run): Run =>
    new Proxy(run, {
      get(target, name) {
        const value = Reflect.get(target, name, target) as unknown;
        if (name !== 'apply') return typeof value === 'function' ? value.bind(target) : value;
        return (...[entry, graphs]: Parameters<Run['apply']>) => {
          const input = entry.input?.input;
          if (input?.$case === 'started' && input.value.uid === uid) throw new Error('not the history of this engine');
          return target.apply(entry, graphs);
        };
      },
    });
  const restore: Engine['runs']['restore'] = (snapshot, graphs) => {
    const run = runs.restore(snapshot, graphs);
    if (run.uid === uid) throw new Error('not the history of this engine');
    return run;
  };
  return { ...pureEngine, runs: { ...runs, create: () => refuse(runs.create()), restore } };
}

// Real: Postgres, the bus, engine (with a fault put in). Scripted: the backend host.
describe('Propeller: poison', () => {
  let rig: Rig;

  afterEach(() => rig.close());

  const gated = () => closureOf('gated', { nodes: [signalNode('g', 'go')], tasks: [], outputs: { o0: 'g.o0' } });
  const waits = (run: StartedRun) =>
    rig.events.until(() => rig.events.of(run.uid).some(({ event }) => event?.$case === 'gateReached'));
  const signal = (run: StartedRun, value: number) =>
    rig.send(run, {
      $case: 'signal',
      value: { signalId: 'go', value: literalOf.integer(value), revision: BigInt(value), principal: '' },
    });
  const quarantined = (run: StartedRun) =>
    rig.events.of(run.uid).flatMap(({ event }) => (event?.$case === 'quarantined' ? [event.value] : []));

  it('a run that the engine fails on is quarantined, its messages wait in order, all else goes on; release replays them', async () => {
    rig = await Rig.open();
    const backend = new ScriptedBackend(rig.bus);
    rig.onClose(() => backend.close());
    const poisoned = new Set<string>();
    const propeller = await rig.started({ deps: { engine: faulty(poisoned) } });
    const run = await rig.start(gated());
    await waits(run);
    poisoned.add(run.uid);
    await signal(run, 1);
    await rig.events.until(() => quarantined(run).length === 1);
    expect(quarantined(run)[0]).toMatchObject({ reason: expect.stringContaining('impossible state'), released: false });
    await signal(run, 2);
    const other = await rig.start(chain(2));
    expect(await rig.events.ended(other.uid)).toBe(Phase.SUCCEEDED);
    expect((await propeller.parked(10)).map(({ message }) => message.envelope.key)).toEqual([run.key, run.key]);

    // Still broken: it stays where it is.
    expect(await propeller.release(run.key)).toBe(2);
    await rig.events.until(() => quarantined(run).length === 3);
    expect(await propeller.parked(10)).toHaveLength(2);

    poisoned.clear();
    expect(await propeller.release(run.key)).toBe(2);
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect(rig.events.result(run.uid)).toMatchObject({ value: { literals: { o0: literalOf.integer(1) } } });
    expect(await propeller.parked(10)).toEqual([]);
    expect(rig.events.problems).toEqual([]);
  });

  it('a quarantine outlives its process', async () => {
    rig = await Rig.open();
    const poisoned = new Set<string>();
    const first = await rig.started({ deps: { engine: faulty(poisoned) } });
    const run = await rig.start(gated());
    await waits(run);
    poisoned.add(run.uid);
    await signal(run, 1);
    await rig.events.until(() => quarantined(run).length === 1);
    await first.stop();
    const second = await rig.started();
    await signal(run, 2);
    while ((await second.parked(10)).length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(await second.release(run.key)).toBe(2);
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
  });

  it('a run that a new process cannot restore is quarantined, and all else goes on', async () => {
    rig = await Rig.open();
    const backend = new ScriptedBackend(rig.bus);
    rig.onClose(() => backend.close());
    const first = await rig.started();
    const run = await rig.start(gated());
    await waits(run);
    await first.stop();
    const second = await rig.started({ deps: { engine: forgetful(run.uid) } });
    await signal(run, 1);
    const other = await rig.start(chain(2));
    expect(await rig.events.ended(other.uid)).toBe(Phase.SUCCEEDED);
    await rig.events.until(() => quarantined(run).length === 1);
    expect(quarantined(run)[0]!.reason).toContain('not the history of this engine');
    expect(await second.parked(10)).toHaveLength(1);
  });

  it('malformed commands are parked with the reason', async () => {
    rig = await Rig.open();
    const backend = new ScriptedBackend(rig.bus);
    rig.onClose(() => backend.close());
    const propeller = await rig.started();
    const bad = (id: string, more: { type?: string; payload?: Uint8Array; executionUid?: string }) => ({
      topic: 'executions.commands',
      envelope: envelope({
        id,
        key: `/p/d/${id}`,
        type: 'aloft.v1.ExecutionCommand',
        executionUid: randomUUID(),
        payload: Buffer.alloc(0),
        ...more,
      }),
    });
    await rig.database.transaction((tx) =>
      rig.bus.publish(tx, [
        bad('garbage', { payload: Buffer.from([255, 255, 255]) }),
        bad('empty', {}),
        bad('no-uid', { executionUid: 'nobody' }),
        bad('other', { type: 'aloft.v1.RegistryEvent' }),
        rig.command(
          { $case: 'abort', value: { cause: 'x', principal: '' } },
          { uid: randomUUID(), id: { org: '', project: 'p', domain: 'd', name: 'unknown' } },
        ),
      ]),
    );
    const run = await rig.start(chain(1));
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    while ((await propeller.parked(10)).length < 5) await new Promise((resolve) => setTimeout(resolve, 10));
    const reasons = (await propeller.parked(10)).map(({ reason }) => reason).sort();
    expect(reasons).toEqual([
      expect.stringContaining('malformed: execution command without a command'),
      expect.stringContaining('malformed: execution_uid "nobody" is not a UUID'),
      expect.stringContaining('malformed: payload of 3 bytes is not a aloft.v1.ExecutionCommand'),
      expect.stringContaining('malformed: type "aloft.v1.RegistryEvent"'),
      expect.stringContaining('there is no run'),
    ]);
  });

  it('a closure that is lost or not that of its digest quarantines its run only', async () => {
    rig = await Rig.open();
    const propeller = await rig.started();
    const closure = chain(1);
    const { uri } = await rig.closure(closure);
    const wrong = rig.startCommand(uri, Buffer.alloc(32, 7));
    await rig.database.transaction((tx) => rig.bus.publish(tx, [wrong.message]));
    await rig.events.until(() => quarantined(wrong).length === 1);
    expect(quarantined(wrong)[0]!.reason).toContain('has SHA-256');
    expect(await propeller.parked(10)).toHaveLength(1);
  });

  it('a run whose commit the database refuses is found and set aside; the others are committed', async () => {
    rig = await Rig.open();
    const backend = new ScriptedBackend(rig.bus);
    rig.onClose(() => backend.close());
    const refused = new Set<string>();
    // Stands for what the database cannot take of one run, whatever it is.
    const inner = rig.openDatabase();
    const database: Database = new Proxy(inner, {
      get(target, name) {
        const value = Reflect.get(target, name, target) as unknown;
        if (name !== 'transaction') return typeof value === 'function' ? value.bind(target) : value;
        return (work: (tx: Transaction) => Promise<unknown>) =>
          target.transaction((tx) =>
            work(
              new Proxy(tx, {
                get(of, key) {
                  const member = Reflect.get(of, key, of) as unknown;
                  if (key !== 'send') return typeof member === 'function' ? member.bind(of) : member;
                  return (...[sql, values, explain]: Parameters<Transaction['send']>) => {
                    const text = typeof sql === 'string' ? sql : sql.name;
                    const concerned = JSON.stringify(values, (_k, v: unknown) =>
                      typeof v === 'bigint' ? String(v) : v,
                    );
                    if (/append/.test(text) && [...refused].some((uid) => concerned.includes(uid))) {
                      throw internal('row too strange');
                    }
                    of.send(sql, values, explain);
                  };
                },
              }),
            ),
          );
      },
    });
    const propeller = await rig.started({ database });
    const strange = await rig.start(gated());
    await waits(strange);
    refused.add(strange.uid);
    const run = await rig.start(chain(2));
    await signal(strange, 1);
    const later = await rig.start(chain(2));
    for (const { uid } of [run, later]) expect(await rig.events.ended(uid)).toBe(Phase.SUCCEEDED);
    await rig.events.until(() => quarantined(strange).length > 0);
    expect(quarantined(strange)[0]!.reason).toContain('row too strange');
    expect(await propeller.parked(10)).toHaveLength(1);
    expect(new Set(backend.launches).size).toBe(backend.launches.length);
    expect(rig.events.problems).toEqual([]);
  }, 60_000);
});
