import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BenchClient } from '../client.js';
import { quantile } from '../commit-time.js';
import { startPlatform } from '../platform.js';
import { round } from '../processes.js';
import { chain } from '../shapes.js';

interface Propeller {
  name: string;
  http: string;
  pid: number;
}

const length = 100;
/** Runs under way at any time. */
const loads = 4;

/**
 * Two propellers of the distributed shape with runs under way: one is told to stop (SIGTERM), or killed (SIGKILL), `times` each. From the signal until
 * the other holds every stream, as its own metric says; then the one is there again and has its share.
 */
export async function* handoverWorkload(times: number): AsyncIterable<object> {
  const platform = await startPlatform('distributed', { restart: true });
  const client = new BenchClient(platform.grpc);
  const propellers = (): Propeller[] => {
    const topology = JSON.parse(readFileSync(join(platform.dataDir, 'topology.json'), 'utf8')) as {
      services: Propeller[];
    };
    return topology.services.filter(({ name }) => name === 'propeller');
  };
  const loading = new AbortController();
  try {
    const version = `handover-${Date.now()}`;
    await client.registerTask(version);
    await client.register(chain(length, version), version);
    const load = Promise.all(Array.from({ length: loads }, (_, i) => keepRunning(client, version, i, loading.signal)));
    const all = await shared(propellers);
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const taken: number[] = [];
      for (let i = 0; i < times; i++) {
        const [one, other] = i % 2 === 0 ? propellers() : propellers().toReversed();
        if (!one || !other) throw new Error('there are no two propellers');
        const began = performance.now();
        process.kill(one.pid, signal);
        while ((await heldBy(other)) < all) await delay(10);
        taken.push(performance.now() - began);
        await shared(propellers, all);
      }
      yield {
        workload: 'handover',
        signal,
        times,
        streams: all,
        p50_ms: round(quantile(taken, 0.5)),
        longest_ms: round(Math.max(...taken)),
      };
    }
    loading.abort();
    await load;
  } finally {
    loading.abort();
    client.close();
    await platform.stop();
  }
}

/** Resolves with how many streams there are once both have some, and all that there are. */
async function shared(propellers: () => Propeller[], all = 0): Promise<number> {
  for (let before = -1; ; await delay(500)) {
    const held = await Promise.all(propellers().map((each) => heldBy(each).catch(() => 0)));
    const sum = held.reduce((total, each) => total + each, 0);
    if (held.length === 2 && !held.includes(0) && (all === 0 ? sum === before : sum === all)) return sum;
    before = sum;
  }
}

async function heldBy({ http }: Propeller): Promise<number> {
  const text = await (await fetch(`${http}/metrics`, { headers: { connection: 'close' } })).text();
  const found = text.matchAll(/^aloft_bus_streams_held\{[^}]*\} (\d+)$/gm);
  return [...found].reduce((sum, [, held]) => sum + Number(held), 0);
}

async function keepRunning(client: BenchClient, version: string, load: number, signal: AbortSignal): Promise<void> {
  for (let i = 0; !signal.aborted; i++)
    await client.succeeded(await client.launch(`bench.chain_${length}`, version, `handover-${load}-${i}`));
}
