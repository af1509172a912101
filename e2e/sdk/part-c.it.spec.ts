import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ExecutionMetadata_ExecutionMode as Mode, ExecutionRecoverRequest } from '@aloft/idl/flyteidl/admin/execution';
import { literalOf } from '@aloft/literals';
import { secrets } from './platform.js';
import { ours } from './ours.js';
import { type Check, phasesOf, until, World } from './world.js';

/** The checks of part C of the feature map; e2e/flytekit has the same in Python. */
const checks: Record<string, Check> = {
  async *hello(world) {
    const [greeted, byDefault] = [await world.run('hello.wf', { name: 'Aloft' }), await world.run('hello.wf', {})];
    yield;
    expect(await greeted.outputs()).toEqual({ text: 'Hello, Aloft!' });
    expect(await byDefault.outputs()).toEqual({ text: 'Hello, world!' });
    const nodes = await greeted.nodes();
    expect(
      Object.values(nodes)
        .map(({ id, phase }) => `${id} ${phase}`)
        .sort(),
    ).toEqual(['end-node', 'n0', 'start-node'].map((id) => `${id} SUCCEEDED`));
    expect(await nodes['n0']!.attempts()).toMatchObject([{ phase: 'SUCCEEDED' }]);
  },

  async *subwf(world) {
    const run = await world.run('subwf.wf', { a: 50 });
    yield;
    expect(await run.outputs()).toEqual({ o: 15 });
    expect((await run.node('n0')).message.metadata?.isParentNode).toBe(true);
    expect(Object.keys(await run.nodes('n0'))).toEqual(expect.arrayContaining(['n0-0-n0', 'n0-0-n1']));
    expect(Object.keys(await run.nodes('n0-0-n0'))).toEqual(expect.arrayContaining(['n0-0-n0-0-n0', 'n0-0-n0-0-n1']));
  },

  async *'child-lp'(world) {
    const [run, fails] = [await world.run('child-lp.wf', { n: 20 }), await world.run('child-lp.wf', { n: 3 })];
    yield;
    expect(await run.outputs()).toEqual({ o: 20 });
    const node = await run.node('n0');
    const { spec, closure } = await world.of({ ...run.id, name: node.child! }).execution();
    expect(closure?.outputResult?.$case).toBe('outputs');
    expect(spec?.metadata).toMatchObject({ mode: Mode.CHILD_WORKFLOW, parentNodeExecution: node.message.id });
    const { phase, kind, message } = await fails.ended();
    expect([phase, kind]).toEqual(['FAILED', 'USER']);
    expect(message).toContain('3 is odd');
    expect(message).toContain((await fails.node('n0')).child);
  },

  async *'branch-3way'(world) {
    const runs = [];
    for (const n of [4, 12, 200]) runs.push(await world.run('branch-3way.wf', { n }));
    yield;
    const outputs = [];
    for (const run of runs) outputs.push((await run.outputs())['o']);
    expect(outputs).toEqual([8, 144, -200]);
    for (const [place, run] of runs.entries()) {
      const cases = Object.entries(await phasesOf(run, 'n0')).sort(([a], [b]) => (a < b ? -1 : 1));
      expect(cases.map(([, phase]) => phase)).toEqual([0, 1, 2].map((at) => (at === place ? 'SUCCEEDED' : 'SKIPPED')));
    }
  },

  async *approve(world) {
    const [passes, rejected] = [await world.run('approve.wf', { n: 5 }), await world.run('approve.wf', { n: 5 })];
    yield;
    for (const [run, answer] of [
      [passes, true],
      [rejected, false],
    ] as const) {
      await world.gate(run, 'let-it-pass');
      expect(Object.keys(await run.nodes())).not.toContain('n2');
      await world.signal(run, 'let-it-pass', literalOf.boolean(answer));
    }
    expect(await passes.outputs()).toEqual({ o: 20 });
    expect(await rejected.ended()).toMatchObject({ phase: 'FAILED', code: 'ReceivedRejectSignal', kind: 'USER' });
  },

  async *signal(world) {
    const run = await world.run('signal.wf', { n: 5 });
    yield;
    await world.gate(run, 'factor');
    await expect(world.signal(run, 'factor', literalOf.string('text'))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await world.signal(run, 'factor', literalOf.integer(3));
    expect(await run.outputs()).toEqual({ o: 15 });
    const [gate, next] = [await run.node('n0'), await run.node('n1')];
    expect(next.queued - gate.ended).toBeLessThan(1); // C-133
  },

  async *sleep(world) {
    const run = await world.run('sleep.wf', { n: 5 });
    yield;
    expect(await run.outputs()).toEqual({ o: 10 });
    const [nap, next] = [await run.node('n0'), await run.node('n1')];
    expect(nap.ended - nap.started).toBeGreaterThanOrEqual(2);
    expect(next.started).toBeGreaterThanOrEqual(nap.started + 2);
  },

  async *'map-min-ratio'(world) {
    const half = await world.run('map-min-ratio.wf', { values: [1, 2, 3, 4] });
    const tooFew = await world.run('map-min-ratio.wf', { values: [1, 3, 5, 4] });
    const none = await world.run('map-min-ratio.wf', { values: [] });
    yield;
    expect(await half.outputs()).toEqual({ o: [null, 2, null, 4] });
    expect(await none.outputs()).toEqual({ o: [] });
    const [attempt] = await (await half.node('n0')).attempts();
    expect(attempt!.items).toEqual(['FAILED', 'SUCCEEDED', 'FAILED', 'SUCCEEDED']);
    expect(await tooFew.ended()).toMatchObject({ phase: 'FAILED', message: expect.stringContaining('is odd') });
  },

  async *'dynamic-recursive'(world) {
    const run = await world.run('dynamic-recursive.wf', { n: 3 });
    yield;
    expect(await run.outputs()).toEqual({ o: 6 });
    expect((await run.node('n0')).message.metadata?.isDynamic).toBe(true);
    let level = 'n0';
    const levels = [];
    for (;;) {
      const generated = Object.values(await run.nodes(level)).filter(({ spec }) => !spec.includes('-node'));
      if (generated.length === 0) break;
      expect(new Set(generated.map(({ phase }) => phase))).toEqual(new Set(['SUCCEEDED']));
      levels.push(generated.length);
      level = generated.find(({ spec }) => spec === 'dn0')!.id;
    }
    expect(levels).toEqual([2, 2, 2, 1]);
  },

  async *'failure-node'(world) {
    const run = await world.run('failure-node.wf', { path: world.path('failure-node') });
    yield;
    const { phase, kind, message } = await run.ended();
    expect([phase, kind, message]).toEqual(['FAILED', 'USER', expect.stringContaining('no luck with')]);
    const [failed, ...text] = world.marks('failure-node').split('\n');
    expect([failed, text.join('\n')]).toEqual(['n1', expect.stringContaining('no luck with')]); // C-64
    expect((await run.node('fn0')).phase).toBe('SUCCEEDED');
  },

  async *'fail-after-complete'(world) {
    const goesOn = await world.run('fail-after-complete.wf', { n: 5 });
    const atOnce = await world.run('fail-after-complete.atOnce', { n: 5 });
    yield;
    const { phase, message } = await goesOn.ended();
    expect([phase, (await atOnce.ended()).phase]).toEqual(['FAILED', 'FAILED']);
    expect(await phasesOf(atOnce)).toEqual({ n0: 'FAILED', n1: 'ABORTED' });
    // n0 and n3 fail; n1 and what follows it goes on.
    expect(await phasesOf(goesOn)).toEqual({
      n0: 'FAILED',
      n1: 'SUCCEEDED',
      n2: 'SUCCEEDED',
      n3: 'FAILED',
      n4: 'SKIPPED',
    });
    expect(message).toMatch(/boom 1[^]*boom 2|boom 2[^]*boom 1/); // C-61, ours: all errors
  },

  async *'retry-user'(world) {
    const passes = await world.run('retry-user.wf', { failures: 2 });
    const exhausted = await world.run('retry-user.wf', { failures: 9 });
    yield;
    expect(await passes.outputs()).toEqual({ o: 2 });
    const phases = (await (await passes.node('n0')).attempts()).map(({ phase }) => phase);
    expect(phases).toEqual(['FAILED', 'FAILED', 'SUCCEEDED']);
    const { code, kind, message } = await exhausted.ended();
    expect([code, kind]).toEqual([expect.stringMatching(/^RetriesExhausted\|/), 'USER']);
    expect(message).toContain('attempt 3 of 3');
    expect(await (await exhausted.node('n0')).attempts()).toMatchObject(
      [0, 1, 2].map((number) => ({ number, phase: 'FAILED', kind: 'USER' })),
    );
  },

  async *'retry-system'(world) {
    const run = await world.run('retry-system.wf', { times: 2 });
    yield;
    expect(await run.outputs()).toEqual({ o: 2 });
    const interrupted = { phase: 'FAILED', code: 'Interrupted', kind: 'SYSTEM' };
    expect(await (await run.node('n0')).attempts()).toMatchObject([interrupted, interrupted, { phase: 'SUCCEEDED' }]);
  },

  async *'timeout-exec'(world) {
    const passes = await world.run('timeout-exec.wf', { patientFrom: 1 });
    const exhausted = await world.run('timeout-exec.wf', { patientFrom: 9 });
    yield;
    expect(await passes.outputs()).toEqual({ o: 1 });
    expect(await exhausted.ended()).toMatchObject({ code: 'RetriesExhausted|TimeoutExpired', kind: 'USER' });
    const attempts = await (await exhausted.node('n0')).attempts();
    const expired = { phase: 'FAILED', code: 'TimeoutExpired' };
    expect(attempts).toMatchObject([expired, expired]);
    for (const attempt of attempts) expect(attempt.seconds).toBeGreaterThanOrEqual(9.9);
  },

  async *'timeout-active'(world) {
    const run = await world.run('timeout-active.wf', { n: 1 });
    yield;
    expect((await run.ended()).phase).toBe('FAILED');
    const node = await run.node('n0');
    expect([node.phase, (await node.attempts()).length]).toEqual(['TIMED_OUT', 1]);
    expect(node.ended - node.queued).toBeGreaterThanOrEqual(3);
  },

  async *'cache-hit'(world) {
    const inputs = { n: 1, marks: world.path('cache-hit') };
    const first = await world.run('cache-hit.wf', inputs);
    yield;
    expect(await first.outputs()).toEqual({ o: 2 });
    const second = await world.run('cache-hit.wf', inputs);
    expect(await second.outputs()).toEqual({ o: 2 });
    expect(world.marks('cache-hit')).toBe('x');
    expect((await first.node('n0')).cache).toBe('CACHE_POPULATED');
    expect(await second.node('n0')).toMatchObject({ cache: 'CACHE_HIT', cacheSource: first.name });
    expect(await (await world.run('cache-hit.wf', inputs, { overwriteCache: true })).outputs()).toEqual({ o: 2 });
    expect(world.marks('cache-hit')).toBe('xx');
  },

  async *'cache-serialize'(world) {
    const inputs = { n: 1, marks: world.path('cache-serialize') };
    const runs = [];
    for (let at = 0; at < 3; at++) runs.push(await world.run('cache-serialize.wf', inputs));
    yield;
    for (const run of runs) expect(await run.outputs()).toEqual({ o: 2 });
    expect(world.marks('cache-serialize')).toBe('x');
    const nodes = await Promise.all(runs.map(async (run) => ({ name: run.name, node: await run.node('n0') })));
    const owners = nodes.filter(({ node }) => node.cache === 'CACHE_POPULATED');
    expect(owners).toHaveLength(1);
    for (const { name, node } of nodes)
      if (name !== owners[0]!.name) expect(node).toMatchObject({ cache: 'CACHE_HIT', cacheSource: owners[0]!.name });
  },

  async *'cache-ignore-vars'(world) {
    const inputs = { n: 1, verbosity: 1, marks: world.path('cache-ignore') };
    const first = await world.run('cache-ignore-vars.wf', inputs);
    yield;
    expect(await first.outputs()).toEqual({ o: 2 });
    const louder = await world.run('cache-ignore-vars.wf', { ...inputs, verbosity: 2 });
    const other = await world.run('cache-ignore-vars.wf', { ...inputs, n: 2 });
    expect([await louder.outputs(), await other.outputs()]).toEqual([{ o: 2 }, { o: 3 }]);
    expect([(await louder.node('n0')).cache, (await other.node('n0')).cache]).toEqual(['CACHE_HIT', 'CACHE_POPULATED']);
    expect(world.marks('cache-ignore')).toBe('xx');
  },

  async *recover(world) {
    const folder = world.path('recover');
    mkdirSync(folder);
    const failed = await world.run('recover.wf', { count: 12, marks: folder });
    yield;
    const items = async () => (await (await failed.nodes())['n1']?.attempts())?.[0]?.items ?? [];
    await until(
      async () => (await items()).filter((phase) => phase === 'SUCCEEDED').length === 9,
      'the other nine items',
    );
    writeFileSync(join(folder, 'fail'), '');
    expect((await failed.ended()).phase).toBe('FAILED');
    writeFileSync(join(folder, 'mended'), '');
    const { id } = await world.client.admin.recoverExecution(ExecutionRecoverRequest.fromPartial({ id: failed.id }));
    const run = world.of(id!);
    expect(await run.outputs()).toEqual({ values: Array.from({ length: 12 }, (_, at) => at * 10), total: 660 });
    expect((await run.node('n0')).phase).toBe('RECOVERED');
    const again = readdirSync(folder).filter((mark) => readFileSync(join(folder, mark), 'utf8').length > 1);
    expect(again.sort()).toEqual(['item-11', 'item-3', 'item-7']); // C-84
  },

  async *checkpoint(world) {
    const run = await world.run('checkpoint.wf', { goal: 2 });
    const afterTimeout = await world.run('checkpoint.afterTimeout', { text: 'so far' });
    yield;
    expect(await run.outputs()).toEqual({ o: 2 });
    expect(await afterTimeout.outputs()).toEqual({ o: 'so far' });
    const phases = (await (await run.node('n0')).attempts()).map(({ phase }) => phase);
    expect(phases).toEqual(['FAILED', 'FAILED', 'SUCCEEDED']);
  },

  async *deck(world) {
    const run = await world.run('deck.wf', { title: 'A deck' });
    yield;
    expect(await run.outputs()).toEqual({ title: 'A deck' });
    const node = await run.node('n0');
    expect(node.deckUri).not.toBe('');
    expect(await world.deckOf(node)).toContain('<h1>A deck</h1>');
  },

  async *'attr-path'(world) {
    const run = await world.run('attr-path.wf', { x: 3 });
    const outOfRange = await world.run('attr-path.outOfRange', { x: 3 });
    yield;
    expect(await run.outputs()).toEqual({ text: '3 second first,second 3.14 0.25 2' });
    const { phase, kind, message } = await outOfRange.ended();
    expect([phase, kind, message]).toEqual(['FAILED', 'USER', expect.stringMatching(/labels[^]*5|5[^]*labels/)]);
  },

  async *'union-promote'(world) {
    const [some, none] = [
      await world.run('union-promote.wf', { n: 7 }),
      await world.run('union-promote.wf', { n: -7 }),
    ];
    yield;
    const plain = (n: number) => ({ either: `number ${n}`, plain: `number ${n} `, absent: 'null null' });
    expect(await some.outputs()).toEqual({ ...plain(7), any: 'number 7 number 7, string x' });
    expect(await none.outputs()).toEqual({ ...plain(-7), any: 'null null number -7, string x' });
  },

  async *'container-task'(world) {
    const run = await world.run('container-task.wf', { a: 6, b: 7, note: 'of a field' });
    const bad = await world.run('container-task.badOutput', { a: 6 });
    yield;
    const { area, report } = await run.outputs();
    expect([area, String(report).split('\n')]).toEqual([42, ['of a field', expect.stringContaining('"a"')]]);
    const { phase, kind, message } = await bad.ended();
    expect([phase, kind, message]).toEqual(['FAILED', 'USER', expect.stringContaining('/var/outputs/area')]);
  },

  async *'shell-task'(world) {
    const run = await world.run('shell-task.wf', { text: 'be quiet' });
    yield;
    expect(await run.outputs()).toEqual({ text: 'BE QUIET!' });
  },

  async *secrets(world) {
    const run = await world.run('secrets.wf', {});
    yield;
    const both = secrets.ALOFT_SECRET_TEAM_TOKEN + secrets.ALOFT_SECRET_TEAM_CERTIFICATE;
    expect(await run.outputs()).toEqual({ digest: createHash('sha256').update(both).digest('hex'), seen: false });
    const logs = world.platform.logs();
    for (const value of Object.values(secrets)) expect(logs).not.toContain(value);
  },
};

// Real: the platform (embedded in a process of its own, or the distributed one), our command line, tasks as processes.
describe('part C with the TypeScript SDK', () => {
  let world: World;
  const begun = new Map<string, AsyncGenerator<void, void>>();
  /** A launch that fails is its own check's to tell. */
  const failures = new Map<string, unknown>();

  beforeAll(async () => {
    world = await World.begin();
    for (const [name, check] of Object.entries({ ...checks, ...ours })) {
      const steps = check(world);
      begun.set(name, steps);
      await steps.next().catch((error: unknown) => failures.set(name, error));
    }
  }, 240_000);
  afterAll(() => world?.close());

  it.each([...Object.keys(checks), ...Object.keys(ours)])('%s', async (name) => {
    if (failures.has(name)) throw failures.get(name);
    expect((await begun.get(name)!.next()).done).toBe(true);
  });
});
