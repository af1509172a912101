import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

export type { Counter, Gauge, Histogram } from 'prom-client';

export interface MetricOptions<L extends string> {
  /** Prometheus name: `aloft_<part>_<what>_<unit>`; counters end in `_total`. */
  name: string;
  help: string;
  labels?: readonly L[];
}

/** Seconds, from half a millisecond to a minute. */
export const durationBuckets: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

/** Projects that have series of their own. */
export const maxProjects = 50;

/**
 * One registry of Prometheus metrics a process. Asking twice for the same name gives the same metric, so that several
 * apps in one process may share it. Labels must be few-valued: never an execution's name.
 */
export class Metrics {
  private readonly registry = new Registry();
  private readonly projects = new Set<string>();

  /** `process`: also the process's own CPU, memory and event-loop figures. */
  constructor(options: { process?: boolean } = {}) {
    if (options.process) collectDefaultMetrics({ register: this.registry });
  }

  counter<L extends string = never>({ name, help, labels = [] }: MetricOptions<L>): Counter<L> {
    return this.existing<Counter<L>>(name, Counter) ?? new Counter<L>({ ...this.base(name, help, labels) });
  }

  /** `collect`: reads the value when it is asked for, instead of being set all the time. */
  gauge<L extends string = never>({
    name,
    help,
    labels = [],
    collect,
  }: MetricOptions<L> & { collect?: (gauge: Gauge<L>) => void | Promise<void> }): Gauge<L> {
    const existing = this.existing<Gauge<L>>(name, Gauge);
    if (existing) return existing;
    const gauge: Gauge<L> = new Gauge<L>({
      ...this.base(name, help, labels),
      ...(collect ? { collect: () => collect(gauge) } : {}),
    });
    return gauge;
  }

  histogram<L extends string = never>({
    name,
    help,
    labels = [],
    buckets = durationBuckets,
  }: MetricOptions<L> & { buckets?: readonly number[] }): Histogram<L> {
    return (
      this.existing<Histogram<L>>(name, Histogram) ??
      new Histogram<L>({ ...this.base(name, help, labels), buckets: [...buckets] })
    );
  }

  /**
   * The value of a `project` label (S-32): the first {@link maxProjects} that this process meets by name, `other` for the rest, so that
   * the number of series is bounded whatever users do.
   */
  project(name: string | undefined): string {
    if (!name) return 'other';
    if (this.projects.has(name)) return name;
    if (this.projects.size >= maxProjects) return 'other';
    this.projects.add(name);
    return name;
  }

  /** The exposition format, for `/metrics`. */
  text(): Promise<string> {
    return this.registry.metrics();
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  private base<L extends string>(name: string, help: string, labels: readonly L[]) {
    return { name, help, labelNames: [...labels], registers: [this.registry] };
  }

  private existing<M>(name: string, kind: abstract new (...args: never[]) => unknown): M | undefined {
    const metric = this.registry.getSingleMetric(name);
    if (metric === undefined) return undefined;
    if (!(metric instanceof kind)) throw new Error(`metric ${name} exists already and is of another kind`);
    return metric as M;
  }
}
