import { timestampOf } from '@aloft/backend-kit';
import { TaskUsage } from '@aloft/idl/aloft/v1/bus';

/** Names that flyteidl gives: processors and bytes in use, over time. */
const cpuMetric = 'EXECUTION_METRIC_USED_CPU_AVG';
const memoryMetric = 'EXECUTION_METRIC_USED_MEMORY_BYTES_AVG';

/** What was in use at each time, of all series together. */
type Samples = ReadonlyMap<number, number>;

/**
 * What a job used by its connector's metrics (A-161, U-25): range query results of Prometheus. `undefined` where these tell neither cpu nor memory.
 * `since`, `until`: when the job was seen to run; where its metrics reach back further, they count.
 */
export function usageOfMetrics(
  metrics: Readonly<Record<string, unknown>>,
  { since, until }: { since: Date | undefined; until: Date },
): TaskUsage | undefined {
  const cpu = samplesOf(metrics[cpuMetric]);
  const memory = samplesOf(metrics[memoryMetric]);
  if (cpu.size === 0 && memory.size === 0) return undefined;
  const seen = since ? (until.getTime() - since.getTime()) / 1000 : 0;
  const seconds = Math.max(seen, spanOf(cpu), spanOf(memory), 0);
  return TaskUsage.fromPartial({
    cpuSeconds: meanOf(cpu) * seconds,
    memoryByteSeconds: meanOf(memory) * seconds,
    peakMemoryBytes: BigInt(Math.round([...memory.values()].reduce((most, used) => Math.max(most, used), 0))),
    startedAt: timestampOf(new Date(until.getTime() - seconds * 1000)),
    endedAt: timestampOf(until),
  });
}

/** `{ resultType: 'matrix' | 'vector', result: [{ values | value }] }`; what is neither has no samples. */
function samplesOf(data: unknown): Samples {
  const samples = new Map<number, number>();
  const { result } = isRecord(data) ? data : {};
  for (const series of Array.isArray(result) ? (result as unknown[]) : []) {
    if (!isRecord(series)) continue;
    const { values, value } = series;
    for (const sample of Array.isArray(values) ? (values as unknown[]) : [value]) {
      if (!Array.isArray(sample)) continue;
      const [at, used] = (sample as unknown[]).map(Number);
      if (at === undefined || used === undefined || !Number.isFinite(at) || !(used >= 0 && used < Infinity)) continue;
      samples.set(at, (samples.get(at) ?? 0) + used);
    }
  }
  return samples;
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

const sorted = (samples: Samples): [number, number][] => [...samples].sort(([a], [b]) => a - b);

/** Seconds from the first to the last. */
function spanOf(samples: Samples): number {
  const times = sorted(samples).map(([at]) => at);
  return (times.at(-1) ?? 0) - (times[0] ?? 0);
}

/** By time: each sample holds until the next one. */
function meanOf(samples: Samples): number {
  const all = sorted(samples);
  const span = spanOf(samples);
  if (span === 0) return all[0]?.[1] ?? 0;
  let sum = 0;
  for (const [i, [at, used]] of all.entries()) sum += used * ((all[i + 1]?.[0] ?? at) - at);
  return sum / span;
}
