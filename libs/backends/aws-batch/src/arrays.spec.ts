import { outcomeUris } from '@aloft/backend-kit';
import { encodeLiterals, integer, errorOf } from '@aloft/backend-kit/testing';
import type { BlobStore } from '@aloft/blob';
import { ExecutionError_ErrorKind as Kind, TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { itemsVariable } from './arrays/item-template.js';
import { writeRanges } from './arrays/item-ranges.js';
import type { AwsBatchOptions } from './index.js';
import { BatchStage } from './testing/batch-stage.js';
import { FakeBatch, type Ended, type FakeBatchOptions, type Running } from './testing/fake-batch.js';
import { commandOf, itemLaunch, type ItemOptions } from './testing/items.js';
import { MemoryBlob } from './testing/memory-blob.js';

// Real: host and plugin, the AWS SDK over HTTP. Ours: the Batch behind it, storage in memory; items write what they should, without a process.
describe('items of arrays as array jobs', () => {
  let fake: FakeBatch;
  let stage: BatchStage;
  let blob: MemoryBlob;
  /** How items end that do not succeed; a promise lets them run for so long. */
  let behave: (item: number) => Ended | Promise<Ended> | undefined;
  const started = new Map<number, number>();

  const run = async (container: Running): Promise<Ended> => {
    const { words, item = 0 } = commandOf(container);
    started.set(item, (started.get(item) ?? 0) + 1);
    const stopped = new Promise<Ended>((resolve) =>
      container.signal.addEventListener('abort', () => resolve({ exitCode: 137 }), { once: true }),
    );
    const ended = await Promise.race([Promise.resolve(behave(item)), stopped]);
    if (ended && ended.exitCode !== 0) return ended;
    await blob.put(outcomeUris(words[1] as string).outputs, encodeLiterals({ x: integer(item) }));
    return { exitCode: 0 };
  };

  const open = async (options: Partial<AwsBatchOptions> = {}, fakeOptions: Partial<FakeBatchOptions> = {}) => {
    blob = new MemoryBlob();
    fake = new FakeBatch({ run, ...fakeOptions });
    stage = new BatchStage(await fake.listen(), blob as unknown as BlobStore, options);
    await stage.start();
  };

  const items = (count: number, more: Partial<ItemOptions> = {}) =>
    Array.from({ length: count }, (_, index) => itemLaunch({ index, size: count, ...more }));

  const itemsOf = (jobs = [...fake.jobs.values()]) =>
    jobs.map(
      ({ request }) => request.containerOverrides?.environment?.find(({ name }) => name === itemsVariable)?.value,
    );

  beforeEach(() => {
    behave = () => undefined;
    started.clear();
  });

  afterEach(async () => {
    await stage.stop();
    await fake.close();
  });

  it('that come together are one job; each has its own outputs', async () => {
    await open();
    await stage.launch(...items(100));
    await stage.ended(100);
    expect(itemsOf()).toEqual(['0-99']);
    expect(stage.tally).toEqual({ SUCCEEDED: 100 });
    for (const [name, { outcome }] of stage.ends) {
      const value = outcome?.result?.$case === 'outputs' ? outcome.result.value.value : undefined;
      expect(value).toMatchObject({ value: { literals: { x: integer(Number(/-n(\d+)-0\/1$/.exec(name)?.[1])) } } });
    }
    expect(fake.calls.get('submitjob')).toBe(1);
    expect(fake.calls.get('listjobs')).toBeUndefined();
  });

  it('are split above the limit on the size of an array', async () => {
    await open({ arrays: { enabled: true, windowMs: { idle: 300, longest: 5_000 }, maxSize: 40 } });
    await stage.launch(...items(100));
    await stage.ended(100);
    expect(itemsOf().sort()).toEqual(['0-39', '40-79', '80-99']);
  });

  it('that fail are asked for by themselves, with what Batch says of each; those that are tried again are a sparse array', async () => {
    await open();
    const outOfMemory = { exitCode: 137, reason: 'OutOfMemoryError: Container killed due to memory usage' };
    behave = (item) => (item % 10 === 3 ? { exitCode: 2 } : item === 50 ? outOfMemory : undefined);
    await stage.launch(...items(100));
    await stage.ended(100);
    expect(stage.tally).toEqual({ SUCCEEDED: 89, RETRYABLE_FAILED: 11 });
    expect(errorOf(stage.ends.get('run1-n0-0-n13-0/1')!)).toMatchObject({ code: 'ExitCode', kind: Kind.USER });
    expect(errorOf(stage.ends.get('run1-n0-0-n50-0/1')!)).toMatchObject({ code: 'OOMKilled', kind: Kind.USER });
    behave = () => undefined;
    const again = items(100, { retry: 1 }).filter(({ attempt: { index = 0 } }) => index % 10 === 3 || index === 50);
    await stage.launch(...again);
    await stage.ended(111);
    expect(itemsOf().at(-1)).toBe(writeRanges([3, 13, 23, 33, 43, 50, 53, 63, 73, 83, 93]));
    expect(stage.tally).toEqual({ SUCCEEDED: 100, RETRYABLE_FAILED: 11 });
  });

  it('that fail while their ends are not all listed yet: none of them is taken for a success', async () => {
    await open({}, { listedAfterMs: 1_500 });
    behave = async (item) => {
      await new Promise((resolve) => setTimeout(resolve, item * 20));
      return { exitCode: 3 };
    };
    await stage.launch(...items(4));
    await stage.ended(4);
    expect([...stage.ends.values()].map((end) => errorOf(end).code)).toEqual(
      Array.from({ length: 4 }, () => 'ExitCode'),
    );
  });

  it('that have ended are told while others of their array still run', async () => {
    await open();
    let go!: (ended: Ended) => void;
    const slow = new Promise<Ended>((resolve) => (go = resolve));
    behave = (item) => (item >= 90 ? slow : undefined);
    await stage.launch(...items(100));
    await stage.ended(90);
    expect([...stage.ends.keys()].every((name) => Number(/-n(\d+)-0\/1$/.exec(name)?.[1]) < 90)).toBe(true);
    go({ exitCode: 0 });
    await stage.ended(100);
  });

  it.each([
    [40, 'each as Batch says'],
    [400, 'of many some are asked for'],
  ])('U-25: %i that succeeded tell what they used: %s', async (count) => {
    // All are noticed together, when all have ended.
    await open({ pollMs: { first: 1_500, longest: 1_500 } });
    const ms = 200;
    behave = async () => {
      await new Promise((resolve) => setTimeout(resolve, ms));
      return { exitCode: 0 };
    };
    await stage.launch(...items(count));
    await stage.ended(count);
    const uses = [...stage.ends.values()].map(({ usage }) => usage!);
    // One cpu and two gigabytes where nothing is asked for.
    for (const { cpuSeconds, memoryByteSeconds, startedAt, endedAt, reserved } of uses) {
      expect(cpuSeconds).toBeGreaterThanOrEqual(ms / 1000 - 0.01);
      expect(memoryByteSeconds / 2 ** 31).toBeCloseTo(cpuSeconds, 3);
      expect(Number(endedAt!.seconds - startedAt!.seconds) + (endedAt!.nanos - startedAt!.nanos) / 1e9).toBeCloseTo(
        cpuSeconds,
        1,
      );
      expect(reserved).toBe(true);
    }
    // As often as for their parent, and once more.
    expect(fake.calls.get('describejobs')).toBeLessThanOrEqual(6);
  });

  it('of which one is aborted: that child alone ends', async () => {
    await open();
    let go!: (ended: Ended) => void;
    const slow = new Promise<Ended>((resolve) => (go = resolve));
    behave = () => slow;
    const launches = items(20);
    await stage.launch(...launches);
    while (started.size < 20) await new Promise((resolve) => setTimeout(resolve, 10));
    await stage.abort(launches[7]!.attempt);
    await stage.ended(1);
    expect(Phase[stage.ends.get('run1-n0-0-n7-0/1')!.phase]).toBe('ABORTED');
    go({ exitCode: 0 });
    await stage.ended(20);
    expect(stage.tally).toEqual({ ABORTED: 1, SUCCEEDED: 19 });
  });

  it('that are all aborted are ended by one call', async () => {
    await open();
    behave = () => new Promise(() => undefined);
    const launches = items(500);
    await stage.launch(...launches);
    while (started.size < 500) await new Promise((resolve) => setTimeout(resolve, 10));
    await stage.abort(...launches.map(({ attempt }) => attempt));
    await stage.ended(500);
    expect(stage.tally).toEqual({ ABORTED: 500 });
    expect(fake.calls.get('terminatejob')).toBe(1);
    const [job] = fake.jobs.values();
    expect(job?.counts().FAILED).toBe(500);
  });

  it('of which the last are aborted while others have ended: one call, too, and nobody else ends', async () => {
    await open();
    behave = (item) => (item < 30 ? undefined : new Promise(() => undefined));
    const launches = items(100);
    await stage.launch(...launches);
    await stage.ended(30);
    await stage.abort(...launches.slice(30).map(({ attempt }) => attempt));
    await stage.ended(100);
    expect(stage.tally).toEqual({ SUCCEEDED: 30, ABORTED: 70 });
    expect(fake.calls.get('terminatejob')).toBe(1);
  });

  it.each(['before', 'after'] as const)(
    'whose host dies %s Batch has the array, and before that is written down: one job an item',
    async (when) => {
      let kill!: () => void;
      const killed = new Promise<void>((resolve) => (kill = resolve));
      let armed = true;
      await open(
        {},
        {
          fate: async (call) => {
            if (call !== 'submitjob' || !armed) return 'answer';
            armed = false;
            setTimeout(() => kill(), 0);
            return when === 'after' ? 'lose' : 'error';
          },
        },
      );
      const taken = stage.launch(...items(50));
      await killed;
      await stage.kill();
      await taken;
      await stage.start();
      await stage.ended(50);
      expect(stage.tally).toEqual({ SUCCEEDED: 50 });
      expect([...started.values()]).toEqual(Array.from({ length: 50 }, () => 1));
    },
  );

  it('whose host dies while they run are found again, with those that ended before', async () => {
    await open();
    let go!: (ended: Ended) => void;
    const slow = new Promise<Ended>((resolve) => (go = resolve));
    behave = (item) => (item % 2 === 0 ? undefined : slow);
    await stage.launch(...items(60));
    await stage.ended(30);
    await stage.kill();
    await stage.start();
    go({ exitCode: 0 });
    await stage.ended(60);
    expect(stage.tally).toEqual({ SUCCEEDED: 60 });
    expect(stage.repeated).toEqual([]);
    expect(fake.calls.get('submitjob')).toBe(1);
  });
});
