import type { BackendHost, BackendHostOptions, BackendPlugin } from '@aloft/backend-kit';
import type { Logger, Metrics } from '@aloft/telemetry';

/** Pause in milliseconds before a host that lost its lease comes back: first and longest. */
const rejoinMs = { first: 100, longest: 5_000 };

type Counts = BackendHost['status']['counts'];

/**
 * One backend's host for as long as the process lives. A host that lost its lease has ended its work; a new one takes its
 * place and begins with what is its own by then. Only when a newer process has its name it stays away.
 */
export class HostRun {
  readonly name: string;
  /** Why this backend is not served here now. */
  trouble: string | undefined;
  private host: BackendHost | undefined;
  private plugin: BackendPlugin | undefined;
  private running: BackendPlugin | undefined;
  private rejoining: Promise<void> = Promise.resolve();
  private stopped = false;
  /** Of hosts before the present one. */
  private earlier: Counts = { launches: 0, takeOvers: 0, leaseLosses: 0, given: 0 };

  constructor(
    private readonly makePlugin: () => BackendPlugin,
    private readonly makeHost: (plugin: BackendPlugin, onLost: BackendHostOptions['onLost']) => BackendHost,
    private readonly logger: Logger,
  ) {
    this.plugin = makePlugin();
    this.name = this.plugin.name;
  }

  /** Task types that the plugin has found to be its own. */
  get taskTypes(): readonly string[] {
    return this.running?.taskTypes?.() ?? [];
  }

  get status(): BackendHost['status'] | undefined {
    return this.host?.status;
  }

  get counts(): Counts {
    const now = this.host?.status.counts;
    const sum = { ...this.earlier };
    if (now) for (const name of Object.keys(sum) as (keyof Counts)[]) sum[name] += now[name];
    return sum;
  }

  async start(): Promise<void> {
    const plugin = this.plugin ?? this.makePlugin();
    this.plugin = undefined;
    this.running = plugin;
    this.earlier = this.counts;
    const host = this.makeHost(plugin, (state) => this.lost(host, state));
    this.host = host;
    await host.start();
  }

  /** Running work gets so long to end, where it is handed over. */
  async stop(drainMs: number): Promise<void> {
    this.stopped = true;
    await this.rejoining;
    await this.host?.stop(drainMs);
    this.host = undefined;
  }

  private lost(host: BackendHost, state: 'fenced' | 'taken' | 'expired'): void {
    if (host !== this.host || this.stopped) return;
    this.trouble =
      state === 'fenced'
        ? `another process runs this host of the backend "${this.name}"`
        : `the lease of the backend "${this.name}" ended; its host comes back as soon as the database answers`;
    if (state !== 'fenced') this.rejoining = this.rejoining.then(() => this.rejoin());
  }

  private async rejoin(): Promise<void> {
    for (let pause = rejoinMs.first; !this.stopped; pause = Math.min(rejoinMs.longest, pause * 2)) {
      try {
        // Its children are dead when this resolves.
        await this.host?.stop();
        if (this.stopped) return;
        await this.start();
        this.trouble = undefined;
        this.logger.info({ backend: this.name }, 'the host is back');
        return;
      } catch (error) {
        this.logger.warn({ err: error, backend: this.name, pause }, 'the host could not come back yet');
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }
}

/** `aloft_backend_*`, one registration for all backends of the process. */
export function measure(runs: readonly HostRun[], metrics: Metrics | undefined): void {
  if (!metrics) return;
  const counters = counted.map(({ what, name, help }) => ({
    what,
    counter: metrics.counter({ name, help, labels: ['backend'] }),
  }));
  const told = new Map<string, number>();
  metrics.gauge({
    name: 'aloft_backend_attempts',
    help: 'Attempts that a backend host holds',
    labels: ['backend', 'state'],
    collect: (gauge) => {
      for (const run of runs) {
        const { name, status, counts } = run;
        if (status) {
          gauge.set({ backend: name, state: 'waiting' }, status.waiting);
          gauge.set({ backend: name, state: 'running' }, status.inUse.slots);
          gauge.set({ backend: name, state: 'unacknowledged' }, status.unacknowledged);
        }
        for (const { what, counter } of counters) {
          counter.inc({ backend: name }, counts[what] - (told.get(`${name}/${what}`) ?? 0));
          told.set(`${name}/${what}`, counts[what]);
        }
      }
    },
  });
}

const counted = [
  { what: 'launches', name: 'aloft_backend_launches_total', help: 'Attempts that were begun' },
  { what: 'takeOvers', name: 'aloft_backend_takeovers_total', help: 'Attempts taken over from other hosts' },
  { what: 'leaseLosses', name: 'aloft_backend_lease_losses_total', help: 'Times that a host lost its lease' },
  { what: 'given', name: 'aloft_backend_given_total', help: 'Waiting attempts given to hosts with room' },
] as const;
