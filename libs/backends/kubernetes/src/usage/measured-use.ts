/** What one container of a pod had used when it was looked at. */
export interface Sample {
  namespace: string;
  pod: string;
  container: string;
  /** Milliseconds of the epoch. */
  at: number;
  /** Since the container began … */
  cpuSeconds?: number;
  /** … or cores in use now. */
  cpuCores?: number;
  /** Working set. */
  memoryBytes: number;
  /** When the container began, in milliseconds of the epoch, where the source says so. */
  startedAt?: number | undefined;
}

export interface Use {
  cpuSeconds: number;
  memoryByteSeconds: number;
  peakMemoryBytes: bigint;
}

interface ContainerUse {
  /** Milliseconds of the epoch up to which the sums go. */
  until: number;
  cpuSeconds: number;
  memoryByteSeconds: number;
  /** As last seen. */
  cores: number;
  memoryBytes: number;
}

/** What the containers of one attempt used, summed up from samples. Between two samples, before the first and after the last it is reckoned. Pure. */
export class MeasuredUse {
  private readonly containers = new Map<string, ContainerUse>();
  private peak = 0;

  /** `startedAt`: when the container began, where the sample does not say. A sample that is not newer than the last changes nothing. */
  add(sample: Sample, startedAt: number | undefined): void {
    const key = `${sample.namespace}/${sample.pod}/${sample.container}`;
    const first = !this.containers.has(key);
    const use = this.containers.get(key) ?? begun(sample.startedAt ?? startedAt ?? sample.at);
    const seconds = (sample.at - use.until) / 1000;
    if (seconds < 0 || (seconds === 0 && !first)) return;
    const level = first ? sample.memoryBytes : (use.memoryBytes + sample.memoryBytes) / 2;
    const cpu = cpuOf(sample, use, seconds);
    this.containers.set(key, {
      until: sample.at,
      cpuSeconds: use.cpuSeconds + cpu,
      memoryByteSeconds: use.memoryByteSeconds + level * seconds,
      cores: sample.cpuCores ?? (seconds > 0 ? cpu / seconds : 0),
      memoryBytes: sample.memoryBytes,
    });
    const together = [...this.containers.values()].reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
    this.peak = Math.max(this.peak, together);
  }

  /** Until `endedAt`, for which at most `reckonMs` are reckoned after the last sample. `undefined` if nothing was seen. */
  figures(endedAt: number, reckonMs: number): Use | undefined {
    if (this.containers.size === 0) return undefined;
    let cpuSeconds = 0;
    let memoryByteSeconds = 0;
    for (const use of this.containers.values()) {
      const rest = Math.min(Math.max(endedAt - use.until, 0), reckonMs) / 1000;
      cpuSeconds += use.cpuSeconds + use.cores * rest;
      memoryByteSeconds += use.memoryByteSeconds + use.memoryBytes * rest;
    }
    return { cpuSeconds, memoryByteSeconds, peakMemoryBytes: BigInt(Math.round(this.peak)) };
  }
}

const begun = (at: number): ContainerUse => ({
  until: at,
  cpuSeconds: 0,
  memoryByteSeconds: 0,
  cores: 0,
  memoryBytes: 0,
});

/** Seconds of cpu since the last sample. */
function cpuOf({ cpuSeconds, cpuCores }: Sample, use: ContainerUse, seconds: number): number {
  if (cpuSeconds !== undefined) return Math.max(0, cpuSeconds - use.cpuSeconds);
  return (cpuCores ?? 0) * seconds;
}
