import type { ChildProcess } from 'node:child_process';

/** A process that waits on its input for what to run, and leaves when that ends. */
export interface Standby {
  readonly child: ChildProcess;
}

export interface StandbyPoolOptions<W extends Standby> {
  /** Processes that wait. */
  keep: number;
  start: () => W;
  /** One could not be started, or ended before it was taken. */
  onLost: (how: string) => void;
}

/** After so many that were lost, no more are started. */
const maxLosses = 3;

/** Processes that wait for something to run: what it costs to start one is paid before anybody waits for it. */
export class StandbyPool<W extends Standby> {
  private readonly waiting: W[] = [];
  private stopped = false;
  private losses = 0;

  constructor(private readonly options: StandbyPoolOptions<W>) {}

  /** One that runs, as far as anybody knows; its end is the caller's to follow from now on. */
  take(): W | undefined {
    const worker = this.waiting.shift();
    // After this turn, so that the next one's start does not delay what this one is taken for.
    setImmediate(() => this.fill());
    if (!worker) return undefined;
    const { pid, exitCode, signalCode } = worker.child;
    return pid !== undefined && exitCode === null && signalCode === null ? worker : this.take();
  }

  fill(): void {
    while (!this.stopped && this.waiting.length < this.options.keep && this.losses < maxLosses) this.add();
  }

  stop(): void {
    this.stopped = true;
    for (const { child } of this.waiting.splice(0)) child.stdin?.end();
  }

  private add(): void {
    let worker: W;
    try {
      worker = this.options.start();
    } catch (error) {
      this.lost((error as Error).message);
      return;
    }
    const { child } = worker;
    child.stdin?.on('error', () => undefined); // Its end is told by 'exit'.
    const gone = (how: string) => {
      const index = this.waiting.indexOf(worker);
      if (index < 0) return;
      this.waiting.splice(index, 1);
      this.lost(how);
    };
    child.on('error', (error) => gone(error.message));
    child.on('exit', (code, by) => gone(`exit ${by ?? code}`));
    this.waiting.push(worker);
  }

  private lost(how: string): void {
    this.losses++;
    this.options.onLost(how);
  }
}
