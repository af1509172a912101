import { mkdtemp, readFile, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  approve,
  at,
  dynamic,
  eq,
  FlyteFile,
  gt,
  launchPlan,
  map,
  RecoverableError,
  t,
  task,
  waitForSignal,
  when,
  workflow,
  type LocalNodeEvent,
} from '../index.js';

const double = task({ name: 'double', inputs: { n: t.int }, outputs: { n: t.int } }, ({ n }) => ({ n: n * 2 }));
const sum = task({ name: 'sum', inputs: { ns: t.list(t.int) }, outputs: { total: t.int } }, ({ ns }) => ({
  total: ns.reduce((a, b) => a + b, 0),
}));
const fail = task({ name: 'fail', inputs: { n: t.int }, outputs: { n: t.int } }, () => {
  throw new Error('broken on purpose');
});

describe('local runs', () => {
  test('C-12, C-14, C-16, C-120: chain, sub-workflow, map and branch give what the platform would', async () => {
    const inner = workflow({ name: 'inner', inputs: { n: t.int }, outputs: { n: t.int } }, ({ n }) => ({
      n: double({ n: double({ n }).n }).n,
    }));
    const whole = workflow(
      {
        name: 'whole',
        inputs: { ns: t.list(t.int), limit: t.int.default(20) },
        outputs: { n: t.int, all: t.list(t.int) },
      },
      ({ ns, limit }) => {
        const doubled = map(double, { each: { n: ns } });
        const total = sum({ ns: doubled.n });
        const first = inner({ n: at(doubled.n, 0) });
        const chosen = when(gt(total.total, limit), () => double({ n: total.total })).otherwise(() =>
          inner({ n: first.n }),
        );
        return { n: chosen.n, all: doubled.n };
      },
    );
    const events: LocalNodeEvent[] = [];
    await expect(whole.local({ ns: [1, 2, 3] }, { onNode: (event) => events.push(event) })).resolves.toEqual({
      n: 32,
      all: [2, 4, 6],
    });
    expect(events.filter(({ outcome }) => outcome === 'skipped').map(({ node }) => node)).toEqual(['n4']);
    expect(events.map(({ node }) => node)).toEqual(
      expect.arrayContaining(['n0[0]', 'n0[2]', 'n1', 'n2/n0', 'n2/n1', 'n5/n0']),
    );
    await expect(whole.local({ ns: [10], limit: 5 })).resolves.toEqual({ n: 40, all: [20] });
    await expect(whole.local({ ns: [] })).rejects.toThrow();
  });

  test('C-103: fields of structs and items of lists are taken one by one', async () => {
    const make = task(
      { name: 'make', outputs: { r: t.struct({ deep: t.struct({ n: t.int, tags: t.list(t.string) }) }) } },
      () => ({ r: { deep: { n: 5, tags: ['a', 'b'] } } }),
    );
    const echo = task(
      { name: 'echo', inputs: { text: t.optional(t.string) }, outputs: { text: t.optional(t.string) } },
      ({ text }) => ({ text }),
    );
    const wf = workflow({ name: 'fields', outputs: { n: t.int, text: t.optional(t.string) } }, () => {
      const made = make();
      return { n: double({ n: made.r.deep.n }).n, text: echo({ text: at(made.r.deep.tags, 1) }).text };
    });
    await expect(wf.local()).resolves.toEqual({ n: 10, text: 'b' });
  });

  test('C-140, C-141: lists of different lengths fail; failed items are null when enough succeed; an empty list is fine', async () => {
    const add = task({ name: 'add', inputs: { a: t.int, b: t.int }, outputs: { n: t.int } }, ({ a, b }) => {
      if (a < 0) throw new Error('negative');
      return { n: a + b };
    });
    const zip = workflow(
      { name: 'zip', inputs: { a: t.list(t.int), b: t.list(t.int) }, outputs: { n: t.list(t.int) } },
      ({ a, b }) => ({
        n: map(add, { each: { a, b } }).n,
      }),
    );
    await expect(zip.local({ a: [1], b: [1, 2] })).rejects.toThrow(
      "InvalidArrayLength: the lists of a map must have one length, but 'a' has 1 items and 'b' has 2",
    );
    await expect(zip.local({ a: [], b: [] })).resolves.toEqual({ n: [] });
    const some = workflow(
      { name: 'some', inputs: { a: t.list(t.int) }, outputs: { n: t.list(t.optional(t.int)) } },
      ({ a }) => ({
        n: map(add, { each: { a }, same: { b: 1 }, minSuccessRatio: 0.5 }).n,
      }),
    );
    await expect(some.local({ a: [1, -1] })).resolves.toEqual({ n: [2, null] });
    await expect(some.local({ a: [-1, -2, 1] })).rejects.toThrow('negative');
  });

  test('C-30, C-170: only recoverable errors are tried again; checkpoints outlive attempts', async () => {
    const attempts: string[] = [];
    const flaky = task(
      { name: 'flaky', outputs: { n: t.int }, retries: 3 },
      async (_inputs, { attempt, checkpoint }) => {
        attempts.push(`${attempt}:${Buffer.from((await checkpoint.previous()) ?? []).toString()}`);
        await checkpoint.save(Buffer.from(`saved ${attempt}`));
        if (attempt < 2) throw new RecoverableError('not yet');
        return { n: attempt };
      },
    );
    await expect(flaky.local()).resolves.toEqual({ n: 2 });
    expect(attempts).toEqual(['0:', '1:saved 0', '2:saved 1']);
    await expect(fail.local({ n: 1 })).rejects.toThrow('broken on purpose');
  });

  test('C-90: cached tasks run once for equal inputs and version', async () => {
    let runs = 0;
    const slow = task(
      {
        name: 'slow',
        inputs: { n: t.int, note: t.string },
        outputs: { n: t.int },
        cache: { version: '1', ignoredInputs: ['note'] },
      },
      ({ n }) => {
        runs++;
        return { n };
      },
    );
    const cache = new Map<string, Uint8Array>();
    const outcomes: string[] = [];
    const options = { cache, onNode: ({ outcome }: LocalNodeEvent) => outcomes.push(outcome) };
    await slow.local({ n: 1, note: 'a' }, options);
    await slow.local({ n: 1, note: 'b' }, options);
    await slow.local({ n: 2, note: 'b' }, options);
    expect([runs, outcomes]).toEqual([2, ['succeeded', 'cached', 'succeeded']]);
  });

  test('C-130, C-131: gates take their answers from the caller', async () => {
    const wf = workflow({ name: 'gates', inputs: { n: t.int }, outputs: { n: t.int } }, ({ n }) => {
      const approved = approve('ok', double({ n }).n);
      const extra = waitForSignal('extra', t.int);
      return { n: sum({ ns: [approved, extra] }).total };
    });
    await expect(wf.local({ n: 1 }, { signals: { ok: true, extra: 5 } })).resolves.toEqual({ n: 7 });
    await expect(wf.local({ n: 1 }, { signals: { ok: false, extra: 5 } })).rejects.toThrow('ReceivedRejectSignal');
    await expect(wf.local({ n: 1 }, { signals: { ok: true } })).rejects.toThrow("waits for the signal 'extra'");
  });

  test('C-150: a dynamic task runs the graph that it built from values', async () => {
    const fan = dynamic({ name: 'fan', inputs: { n: t.int }, outputs: { total: t.int } }, ({ n }) => ({
      total: sum({ ns: Array.from({ length: n }, (_, i) => double({ n: i }).n) }).total,
    }));
    const wf = workflow({ name: 'dyn', inputs: { n: t.int }, outputs: { n: t.int } }, ({ n }) => ({
      n: fan({ n }).total,
    }));
    await expect(wf.local({ n: 4 })).resolves.toEqual({ n: 12 });
  });

  test('C-62: the failure node sees the error, and the run still fails with the first one', async () => {
    let told = '';
    const tell = task({ name: 'tell', inputs: { n: t.int, err: t.optional(t.error) } }, ({ n, err }) => {
      told = `${n} ${err?.message}`;
      return {};
    });
    const wf = workflow(
      { name: 'guarded', inputs: { n: t.int }, outputs: { n: t.int }, failureNode: ({ n }, err) => tell({ n, err }) },
      ({ n }) => ({ n: fail({ n }).n }),
    );
    await expect(wf.local({ n: 3 })).rejects.toThrow('broken on purpose');
    expect(told).toBe('3 broken on purpose');
  });

  test('files pass from task to task; equal content has equal locations; a deck is kept', async () => {
    const write = task(
      { name: 'write', inputs: { text: t.string }, outputs: { file: t.file('txt') }, deck: true },
      async ({ text }, { file, deck }) => {
        await writeFile(file('out.txt'), text);
        deck.add('What was <written>', '<p>it</p>');
        return { file: new FlyteFile(file('out.txt')) };
      },
    );
    const read = task(
      { name: 'read', inputs: { file: t.file('txt') }, outputs: { text: t.string, where: t.string } },
      async ({ file }) => ({
        text: await file.text(),
        where: file.location,
      }),
    );
    const wf = workflow(
      { name: 'files', inputs: { text: t.string }, outputs: { text: t.string, where: t.string } },
      ({ text }) => {
        const { file } = write({ text });
        return { ...read({ file }) };
      },
    );
    const folder = await mkdtemp(join(tmpdir(), 'aloft-local-spec-'));
    const first = await wf.local({ text: 'hello' }, { folder });
    const second = await wf.local({ text: 'hello' }, { folder });
    expect(first).toEqual({ text: 'hello', where: second.where });
    const deck = (await readdir(folder)).find((name) => name.startsWith('deck-'))!;
    expect(await readFile(join(folder, deck), 'utf8')).toContain('<h2>What was &lt;written&gt;</h2>');
  });

  test('launch plans run as children with their defaults and fixed inputs; no case and no otherwise fails with its message', async () => {
    const wf = workflow({ name: 'child', inputs: { n: t.int, m: t.int }, outputs: { n: t.int } }, ({ n, m }) => ({
      n: sum({ ns: [n, m] }).total,
    }));
    const plan = launchPlan(wf, { name: 'plan', fixed: { n: 40 }, defaults: { m: 1 } });
    const outer = workflow({ name: 'outer', inputs: { k: t.int }, outputs: { n: t.int } }, ({ k }) => {
      const chosen = when(eq(k, 1), () => plan({ m: 2 }))
        .elseWhen(eq(k, 2), () => plan())
        .otherwiseFail('k must be 1 or 2');
      return { n: chosen.n };
    });
    await expect(outer.local({ k: 1 })).resolves.toEqual({ n: 42 });
    await expect(outer.local({ k: 2 })).resolves.toEqual({ n: 41 });
    await expect(outer.local({ k: 3 })).rejects.toThrow('k must be 1 or 2');
  });

  test('what a task returns is checked against what it declared', async () => {
    const liar = task({ name: 'liar', outputs: { n: t.int } }, () => ({ n: 'x' }) as never);
    const sparse = task({ name: 'sparse', outputs: { n: t.int } }, () => ({}) as never);
    const chatty = task({ name: 'chatty', outputs: { n: t.int } }, () => ({ n: 1, m: 2 }));
    await expect(liar.local()).rejects.toThrow("task liar: output 'n' must be an integer");
    await expect(sparse.local()).rejects.toThrow("task sparse: output 'n' (int) is missing");
    await expect(chatty.local()).rejects.toThrow("task chatty: output 'm' is not declared");
  });
});
