import { setTimeout as delay } from 'node:timers/promises';
import type { FaultRecord } from '../evidence/evidence.js';
import type { Prober } from '../load/prober.js';
import type { LinkTarget, PlatformUnderTest, ProcessTarget } from '../platform/platform.js';
import type { PlannedFault } from '../schedule.js';
import { recoveryOf } from './recovery.js';

export interface InjectorSettings {
  platform: PlatformUnderTest;
  prober: Prober;
  /** Attempts' own processes: those in flight. */
  tasks: () => ProcessTarget[];
  /** Faults at once, at most. */
  overlap: number;
  /** How long is looked for a target of a sort, ms. */
  targetLimitMs: number;
  tell: (text: string) => void;
}

/** Does to the platform what the schedule says, and measures how long it takes to work again. */
export class Injector {
  readonly records: FaultRecord[] = [];
  readonly incidents: string[] = [];
  private readonly busy = new Set<string>();
  private readonly running = new Set<Promise<void>>();
  private readonly measuring = new Set<Promise<void>>();
  private readonly unrecovered = new Set<FaultRecord>();

  constructor(private readonly settings: InjectorSettings) {}

  async run(faults: readonly PlannedFault[], signal?: AbortSignal): Promise<void> {
    for (const fault of faults) {
      if (signal?.aborted) break;
      await delay(fault.gapMs);
      while (this.running.size >= this.settings.overlap) await Promise.race(this.running);
      const fails = (error: unknown) => void this.incidents.push(`fault ${fault.n}: ${String(error)}`);
      const { done, recovered } = await this.inject(fault);
      const guarded = done.catch(fails);
      this.running.add(guarded);
      void guarded.then(() => this.running.delete(guarded));
      const measured = recovered.catch(fails);
      this.measuring.add(measured);
      void measured.then(() => this.measuring.delete(measured));
      if (fault.wait) await Promise.all([guarded, measured]);
    }
    await Promise.all([...this.running, ...this.measuring]);
  }

  /** Whether a fault is on, or its recovery not yet seen. */
  get quiet(): boolean {
    return this.running.size === 0 && this.measuring.size === 0;
  }

  private async inject(fault: PlannedFault): Promise<{ done: Promise<void>; recovered: Promise<void> }> {
    const isLink = fault.kind === 'cut' || fault.kind === 'blackhole' || fault.kind === 'slow';
    const target = isLink
      ? await this.target(fault, () => this.settings.platform.links(fault.role))
      : await this.target(fault, () =>
          fault.role === 'task' ? this.settings.tasks() : this.settings.platform.processes(fault.role),
        );
    const record: FaultRecord = {
      n: fault.n,
      kind: `${fault.kind} ${fault.role}`,
      target: target.name,
      from: Date.now(),
    };
    for (const other of this.unrecovered) other.disturbed = record.disturbed = true;
    this.unrecovered.add(record);
    this.records.push(record);
    this.busy.add(target.name);
    // New work may be done before what is down is up again: others may do it.
    let mayProbe: () => void = () => undefined;
    const probing = new Promise<void>((resolve) => (mayProbe = resolve));
    const done = this.perform(fault, target, record, mayProbe).finally(() => {
      record.to ??= Date.now();
      this.busy.delete(target.name);
      mayProbe();
      this.settings.tell(`  fault ${fault.n} over after ${record.to - record.from} ms: ${record.kind}, ${target.name}`);
    });
    const recovered = probing.then(() => this.measure(record, done));
    return { done, recovered };
  }

  private async target<T extends { name: string }>(fault: PlannedFault, candidates: () => T[]): Promise<T> {
    for (const until = Date.now() + this.settings.targetLimitMs; ; await delay(20)) {
      const free = candidates().filter(({ name }) => !this.busy.has(name));
      if (free.length > 0) return free[fault.pick % free.length] as T;
      if (Date.now() > until) throw new Error(`there was no ${fault.role} to ${fault.kind}`);
    }
  }

  private async perform(
    fault: PlannedFault,
    target: ProcessTarget | LinkTarget,
    record: FaultRecord,
    mayProbe: () => void,
  ): Promise<void> {
    const { lengthMs, latencyMs, bytesPerSecond } = fault;
    record.detail =
      fault.kind === 'slow' ? `${lengthMs} ms, +${latencyMs} ms, ${bytesPerSecond} B/s` : `${lengthMs} ms`;
    this.settings.tell(`fault ${fault.n}: ${fault.kind} ${target.name} (${record.detail})`);
    if ('set' in target) {
      target.set(
        fault.kind === 'slow'
          ? { kind: 'slow', latencyMs, bytesPerSecond }
          : { kind: fault.kind as 'cut' | 'blackhole' },
      );
      await delay(lengthMs);
      target.set({ kind: 'open' });
      return;
    }
    if (fault.kind === 'pause') {
      await target.pause();
      await delay(lengthMs);
      await target.resume();
      return;
    }
    if (fault.kind === 'stop' && target.stop) {
      const how = await target.stop();
      if (how !== 'in good order')
        this.incidents.push(`${target.name} did not end on SIGTERM (fault ${fault.n}): ${how}`);
    } else await target.kill();
    mayProbe();
    await delay(lengthMs);
    await target.start();
  }

  /** From the kill, or from the moment when what was taken away is back. */
  private async measure(record: FaultRecord, over: Promise<void>): Promise<void> {
    const { recoveredAt, wrong } = await this.settings.prober.recovered(over.catch(() => undefined));
    record.recoveredAt = recoveredAt;
    this.unrecovered.delete(record);
    if (wrong) {
      this.incidents.push(`fault ${record.n} (${record.kind}, ${record.target}): ${wrong}`);
      this.settings.tell(`  fault ${record.n}: ${wrong}`);
    }
    if (recoveredAt !== undefined) this.settings.tell(`  fault ${record.n}: new work after ${recoveryOf(record)} ms`);
  }
}
