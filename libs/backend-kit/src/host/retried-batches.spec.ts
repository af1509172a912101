import { RetriedBatches } from './retried-batches.js';

describe('batches that are tried again', () => {
  it('what gathers while one is written goes together, and what failed comes again with it', async () => {
    const written: string[][] = [];
    const errors: unknown[] = [];
    let fail = true;
    const batches = new RetriedBatches<string>({
      write: async (batch) => {
        written.push([...batch]);
        if (written.length === 1) for (const more of ['c', 'd']) batches.add(more);
        if (fail) {
          fail = false;
          throw new Error('the database is away');
        }
      },
      onRetry: (error) => errors.push(error),
    });
    for (const item of ['a', 'b']) batches.add(item);
    await batches.drain(5_000);
    expect(written).toEqual([
      ['a', 'b'],
      ['a', 'b', 'c', 'd'],
    ]);
    expect(errors).toHaveLength(1);
  });

  // At each distance, in turns of promises, from the end of the loop.
  it.each([0, 1, 2, 3, 4, 5, 6, 7])(
    'what somebody adds %i turns after hearing of the last batch is written, too',
    async (turns) => {
      const written: string[] = [];
      let told!: () => void;
      const hearing = new Promise<void>((resolve) => (told = resolve));
      const batches = new RetriedBatches<string>({
        write: async (batch) => {
          written.push(...batch);
          told();
        },
        onRetry: () => undefined,
      });
      batches.add('first');
      await hearing;
      for (let i = 0; i < turns; i += 1) await Promise.resolve();
      batches.add('second');
      for (let i = 0; i < 3; i += 1) await new Promise((resolve) => setImmediate(resolve));
      expect(written).toEqual(['first', 'second']);
    },
  );

  it('when it stops, what was not written is given back', async () => {
    const batches = new RetriedBatches<string>({
      write: () => Promise.reject(new Error('the database is away')),
      onRetry: () => undefined,
    });
    batches.add('a');
    await new Promise((resolve) => setImmediate(resolve));
    expect(await batches.stop()).toEqual(['a']);
  });
});
