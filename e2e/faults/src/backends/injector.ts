import { setTimeout as delay } from 'node:timers/promises';
import type { BackendFault } from './evidence.js';
import { type BackendFaultPlan, nameOf } from './faults.js';
import type { Fate } from './fates.js';
import type { Host } from './host.js';
import type { Part } from './part.js';
import type { Weather } from './weather.js';

export interface BackendInjectorSettings {
  part: Part;
  hosts: readonly Host[];
  weather: Weather;
  /** Begins a run whose first attempt comes to this end. */
  work: (fate: Fate) => Promise<void>;
  tell: (text: string) => void;
}

/** Faults at once. */
const overlap = 2;
/** Milliseconds in which a step has to come, under load. */
const stepMs = 15_000;

/** Does to the backend, its hosts and their work what the plan says. */
export class BackendInjector {
  readonly records: BackendFault[] = [];
  readonly incidents: string[] = [];
  private readonly running = new Set<Promise<void>>();
  private apiBusy = false;

  constructor(private readonly settings: BackendInjectorSettings) {}

  async run(faults: readonly BackendFaultPlan[], signal: AbortSignal): Promise<void> {
    for (const fault of faults) {
      if (signal.aborted) break;
      await delay(fault.gapMs);
      while (this.running.size >= overlap) await Promise.race(this.running);
      const done = this.inject(fault).catch((error: unknown) => {
        this.incidents.push(`fault ${fault.n} (${nameOf(fault)}): ${String(error)}`);
      });
      this.running.add(done);
      void done.then(() => this.running.delete(done));
      if (fault.wait) await done;
    }
    await Promise.all(this.running);
  }

  private async inject(fault: BackendFaultPlan): Promise<void> {
    const { hosts, work } = this.settings;
    if (fault.kind === 'work')
      return this.record(fault, `attempt`, async () => {
        await work(fault.fate);
      });
    if (fault.kind === 'kill' || fault.kind === 'stop' || fault.kind === 'pause' || fault.kind.endsWith('database')) {
      const host = await this.free(fault.pick);
      host.busy = true;
      try {
        return await this.record(fault, host.name, () => this.toHost(fault, host));
      } finally {
        host.busy = false;
      }
    }
    while (this.apiBusy) await delay(20);
    this.apiBusy = true;
    try {
      return await this.record(fault, hosts.length > 1 ? 'all hosts' : 'the host', () => this.toApi(fault));
    } finally {
      this.apiBusy = false;
    }
  }

  private async toHost(fault: BackendFaultPlan, host: Host): Promise<void> {
    const { process, line } = host;
    switch (fault.kind) {
      case 'kill': {
        if (!(await host.dieAt(fault.step, fault.afterMs, stepMs)))
          this.settings.tell(`  no attempt came to that step within ${stepMs / 1000} s: it was killed where it was`);
        line.heal();
        await delay(fault.lengthMs);
        return process.start();
      }
      case 'stop': {
        const how = await process.terminate(30_000);
        if (how !== 'in good order') this.incidents.push(`${host.name} did not stop within 30 s of SIGTERM`);
        await delay(fault.lengthMs);
        return process.start();
      }
      case 'pause':
        process.pause();
        await delay(fault.lengthMs);
        return process.resume();
      default:
        line.set({ kind: fault.kind === 'cut database' ? 'cut' : 'blackhole' });
        await delay(fault.lengthMs);
        return line.heal();
    }
  }

  private async toApi(fault: BackendFaultPlan): Promise<void> {
    const { part, hosts, weather } = this.settings;
    switch (fault.kind) {
      case 'storm':
        weather.set(fault.storm);
        await delay(fault.lengthMs);
        return weather.set(undefined);
      case 'cut watches':
        for (const { api } of hosts) api.cutStreams();
        return;
      case 'forget watches':
        weather.forget(hosts.length);
        for (const { api } of hosts) api.cutStreams();
        return;
      case 'hold watches':
        for (const { api } of hosts) api.holdStreams(true);
        await delay(fault.lengthMs);
        for (const { api } of hosts) api.holdStreams(false);
        return;
      case 'confuse events':
        part.confuse?.(true);
        await delay(fault.lengthMs);
        return part.confuse?.(false);
      default:
        return part.restart?.();
    }
  }

  /** One to which nothing else is being done. */
  private async free(pick: number): Promise<Host> {
    const { hosts } = this.settings;
    for (;;) {
      const free = hosts.filter(({ busy }) => !busy);
      if (free.length > 0) return free[pick % free.length] as Host;
      await delay(20);
    }
  }

  private async record(fault: BackendFaultPlan, target: string, work: () => Promise<void>): Promise<void> {
    const record: BackendFault = { n: fault.n, kind: nameOf(fault), target, from: Date.now() };
    this.records.push(record);
    this.settings.tell(`${record.n}: ${record.kind}, ${target}`);
    await work();
    record.to = Date.now();
  }
}
