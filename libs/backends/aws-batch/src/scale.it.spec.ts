import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { outcomeUris } from '@aloft/backend-kit';
import { encodeLiterals, integer } from '@aloft/backend-kit/testing';
import type { BlobStore } from '@aloft/blob';
import { BatchStage } from './testing/batch-stage.js';
import { FakeBatch } from './testing/fake-batch.js';
import { commandOf, itemLaunch } from './testing/items.js';
import { MemoryBlob } from './testing/memory-blob.js';

const figures = process.env['ALOFT_TEST_FIGURES'] === '1';
const count = Number(process.env['ALOFT_TEST_ITEMS'] ?? 50_000);

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes that are in use. */
function live(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

// Real: host and plugin, the AWS SDK over HTTP. Ours: the Batch behind it (a child takes no time), storage in memory, in this same process.
describe('a map of 50,000 items', () => {
  it('as the engine launches them, 5,000 in flight (0021): fewer than 300 calls to Batch, less than 500 MB', async () => {
    const inFlight = 5_000;
    const blob = new MemoryBlob();
    let runs = 0;
    const fake = new FakeBatch({
      room: 2_000,
      run: async (container) => {
        runs += 1;
        const { words, item = 0 } = commandOf(container);
        await new Promise((resolve) => setTimeout(resolve, 200));
        await blob.put(outcomeUris(words[1] as string).outputs, encodeLiterals({ x: integer(item) }));
        return { exitCode: 0 };
      },
    });
    const stage = new BatchStage(await fake.listen(), blob as unknown as BlobStore, {
      pollMs: { first: 500, longest: 3_000 },
      arrays: { enabled: true, windowMs: { idle: 500, longest: 5_000 }, maxSize: 10_000 },
    });
    const before = live();
    let most = before;
    const watch = setInterval(() => (most = Math.max(most, live())), 10_000);
    const begin = performance.now();
    try {
      await stage.start();
      let launched = 0;
      while (stage.ends.size < count) {
        const next = Math.min(count - launched, inFlight - (launched - stage.ends.size), 1_000);
        if (next > 0) {
          const launches = Array.from({ length: next }, (_, i) => itemLaunch({ index: launched + i, size: count }));
          launched += next;
          await stage.launch(...launches);
        } else {
          await stage.ended(stage.ends.size + 1);
          // A commit of the engine takes what came meanwhile.
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
      const megabytes = (most - before) / 2 ** 20;
      if (figures)
        console.log(
          `${count} items, ${inFlight} in flight: ${((performance.now() - begin) / 1000).toFixed(1)} s, ${fake.callCount} calls ` +
            `(${[...fake.calls].map(([name, calls]) => `${name} ${calls}`).join(', ')}), ${megabytes.toFixed(0)} MB, storage ${JSON.stringify(blob.counts)}`,
        );
      expect(stage.tally).toEqual({ SUCCEEDED: count });
      expect([runs, stage.repeated]).toEqual([count, []]);
      expect(fake.callCount).toBeLessThan(300);
      expect(megabytes).toBeLessThan(500);
    } finally {
      clearInterval(watch);
      await stage.stop();
      await fake.close();
    }
  }, 600_000);
});
