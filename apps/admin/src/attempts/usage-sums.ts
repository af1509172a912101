import { amountsOf } from '@aloft/engine';
import type { Attempt, GetUsageResponse, NodeUsage } from '@aloft/idl/aloft/v1/attempts';
import { UsageSum } from '@aloft/idl/aloft/v1/attempts';
import { nanosOf } from '../time.js';

/** What attempts used and had asked for, summed over a run and by node (U-25). */
export class UsageSums {
  private readonly total = UsageSum.create();
  private readonly nodes = new Map<string, UsageSum>();

  /** `now`: milliseconds since the epoch, until which attempts count that go on. */
  constructor(private readonly now: number) {}

  add(attempt: Attempt): void {
    let ofNode = this.nodes.get(attempt.nodeId);
    if (!ofNode) this.nodes.set(attempt.nodeId, (ofNode = UsageSum.create()));
    const one = this.sumOf(attempt);
    for (const sum of [this.total, ofNode]) addTo(sum, one);
  }

  /** The nodes that held most for longest: by memory and time where nobody knows what was used of it. */
  answer(limit: number): GetUsageResponse {
    const nodes: NodeUsage[] = [...this.nodes].map(([nodeId, usage]) => ({ nodeId, usage }));
    nodes.sort((a, b) => weight(b.usage!) - weight(a.usage!) || (a.nodeId < b.nodeId ? -1 : 1));
    return { total: this.total, nodes: nodes.slice(0, limit), nodeCount: nodes.length };
  }

  private sumOf(attempt: Attempt): UsageSum {
    const { usage, route } = attempt;
    const seconds = usage?.itemSeconds || this.secondsOf(attempt);
    const asked = amountsOf(route?.resources ?? { requests: [], limits: [] });
    const cpuSeconds = usage?.cpuSeconds ?? 0;
    const memoryByteSeconds = usage?.memoryByteSeconds ?? 0;
    return {
      attempts: 1,
      unknown: cpuSeconds === 0 && memoryByteSeconds === 0 && !usage?.peakMemoryBytes ? 1 : 0,
      reserved: usage?.reserved ? 1 : 0,
      seconds,
      cpuSeconds,
      memoryByteSeconds,
      peakMemoryBytes: usage?.peakMemoryBytes ?? 0n,
      requestedCpuSeconds: (Number(asked.cpu) / 1000) * seconds,
      requestedMemoryByteSeconds: Number(asked.memory) * seconds,
      requestedGpuSeconds: Number(asked.gpu) * seconds,
    };
  }

  private secondsOf({ usage, startedAt, endedAt }: Attempt): number {
    const begin = usage?.startedAt ?? startedAt;
    if (!begin) return 0;
    const end = usage?.endedAt ?? endedAt;
    const until = end ? nanosOf(end) : BigInt(Math.round(this.now * 1e6));
    return Math.max(0, Number(until - nanosOf(begin)) / 1e9);
  }
}

const weight = (sum: UsageSum): number => Math.max(sum.cpuSeconds, sum.requestedCpuSeconds, sum.seconds / 1e6);

function addTo(sum: UsageSum, one: UsageSum): void {
  sum.attempts += one.attempts;
  sum.unknown += one.unknown;
  sum.reserved += one.reserved;
  sum.seconds += one.seconds;
  sum.cpuSeconds += one.cpuSeconds;
  sum.memoryByteSeconds += one.memoryByteSeconds;
  if (one.peakMemoryBytes > sum.peakMemoryBytes) sum.peakMemoryBytes = one.peakMemoryBytes;
  sum.requestedCpuSeconds += one.requestedCpuSeconds;
  sum.requestedMemoryByteSeconds += one.requestedMemoryByteSeconds;
  sum.requestedGpuSeconds += one.requestedGpuSeconds;
}
