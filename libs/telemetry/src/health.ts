export type HealthCheck = () => void | Promise<void>;

export interface CheckResult {
  name: string;
  ok: boolean;
  /** Why it is not. */
  reason?: string;
}

export interface HealthReport {
  ok: boolean;
  checks: CheckResult[];
}

/**
 * Named checks of a process. `live`: restart me if it fails. `ready`: send me no traffic while it fails. A check resolves
 * if all is well and throws the reason if not. Not ready until `setServing(true)`: the last step of start and the first
 * of a shutdown.
 */
export class HealthRegistry {
  private readonly checks = { ready: new Map<string, HealthCheck>(), live: new Map<string, HealthCheck>() };
  private readonly listeners = new Set<() => void>();
  private serving = false;
  private why = 'starting';

  /** `timeoutMs`: a check that has not answered by then has failed. */
  constructor(private readonly timeoutMs = 2_000) {}

  /** Returns what takes the check off again. */
  add(kind: 'ready' | 'live', name: string, check: HealthCheck): () => void {
    const checks = this.checks[kind];
    if (checks.has(name)) throw new Error(`${kind} check "${name}" exists already`);
    checks.set(name, check);
    return () => checks.delete(name);
  }

  setServing(serving: boolean, why = serving ? '' : 'shutting down'): void {
    if (serving === this.serving && why === this.why) return;
    this.serving = serving;
    this.why = why;
    for (const listener of this.listeners) listener();
  }

  /** Whether `setServing(true)` was said; costs nothing, unlike {@link ready}. */
  get isServing(): boolean {
    return this.serving;
  }

  /** Called after each change made by `setServing`. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  live(): Promise<HealthReport> {
    return this.report('live', []);
  }

  ready(): Promise<HealthReport> {
    return this.report('ready', [
      this.serving ? { name: 'serving', ok: true } : { name: 'serving', ok: false, reason: this.why },
    ]);
  }

  private async report(kind: 'ready' | 'live', first: CheckResult[]): Promise<HealthReport> {
    const results = await Promise.all([...this.checks[kind]].map(([name, check]) => this.run(name, check)));
    const checks = [...first, ...results];
    return { ok: checks.every((check) => check.ok), checks };
  }

  private async run(name: string, check: HealthCheck): Promise<CheckResult> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${this.timeoutMs} ms`)), this.timeoutMs);
    });
    try {
      await Promise.race([check(), late]);
      return { name, ok: true };
    } catch (error) {
      return { name, ok: false, reason: error instanceof Error ? error.message : String(error) };
    } finally {
      clearTimeout(timer);
    }
  }
}
