import { setTimeout as delay } from 'node:timers/promises';
import { toAloftError } from '@aloft/errors';
import type { Logger } from '@aloft/telemetry';

/**
 * The stages of a shutdown, in order: say "not ready"; stop consuming, hand leases over and drain; close the servers, calls
 * under way end; flush what is to be sent; close pools and connections.
 */
export const shutdownStages = ['unready', 'consumers', 'servers', 'flush', 'pools'] as const;
export type ShutdownStage = (typeof shutdownStages)[number];

export interface ShutdownOptions {
  logger: Logger;
  /** Between `unready` and the rest (default 0 ms). */
  drainDelayMs?: number;
  /** Time for `consumers` and `servers` together (default 20,000 ms). */
  graceMs?: number;
}

interface Step {
  name: string;
  run: (remainingMs: number) => unknown;
}

/** What the later stages get at least, each, however long the drain took. */
const leastMs = 2_000;

/**
 * The one coordinator of how a process ends. Steps of a stage run one after the other, the last added first: what was
 * started later stands on what was started before. A step that hangs is named in the log and left behind.
 */
export class Shutdown {
  private readonly steps = new Map<ShutdownStage, Step[]>(shutdownStages.map((stage) => [stage, []]));
  private readonly controller = new AbortController();
  private running: Promise<string[]> | undefined;

  constructor(private readonly options: ShutdownOptions) {}

  /** Aborted when the shutdown begins. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  get graceMs(): number {
    return this.options.graceMs ?? 20_000;
  }

  /** `run` gets the milliseconds that are left. Returns what takes the step off again. */
  add(stage: ShutdownStage, name: string, run: Step['run']): () => void {
    const step = { name, run };
    const steps = this.steps.get(stage)!;
    steps.push(step);
    return () => {
      const at = steps.indexOf(step);
      if (at >= 0) steps.splice(at, 1);
    };
  }

  /** Aborts the signal, so that a start which is under way gives up waiting. */
  begin(): void {
    this.controller.abort();
  }

  /** Resolves with the names of the steps that were cut or failed. The second call waits for the first. */
  run(): Promise<string[]> {
    this.begin();
    this.running ??= this.runAll();
    return this.running;
  }

  private async runAll(): Promise<string[]> {
    const troubled: string[] = [];
    const { drainDelayMs = 0 } = this.options;
    await this.stage('unready', Date.now() + leastMs, troubled);
    if (drainDelayMs > 0) await delay(drainDelayMs);
    const until = Date.now() + this.graceMs;
    await this.stage('consumers', until, troubled);
    for (const stage of ['servers', 'flush', 'pools'] as const)
      await this.stage(stage, Math.max(until, Date.now() + leastMs), troubled);
    return troubled;
  }

  private async stage(stage: ShutdownStage, until: number, troubled: string[]): Promise<void> {
    const steps = this.steps.get(stage)!;
    for (let step = steps.pop(); step; step = steps.pop()) {
      const name = `${stage}: ${step.name}`;
      if (!(await this.step(name, step, Math.max(until - Date.now(), 0)))) troubled.push(name);
    }
  }

  private async step(name: string, step: Step, ms: number): Promise<boolean> {
    const { logger } = this.options;
    const started = Date.now();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), ms);
    });
    try {
      const work = Promise.resolve().then(() => step.run(ms));
      work.catch(() => undefined); // Its failure after it was cut says nothing new.
      if ((await Promise.race([work, late])) === 'late') {
        logger.error({ step: name, ms: Date.now() - started }, 'a step of the shutdown hangs and is cut');
        return false;
      }
      logger.debug({ step: name, ms: Date.now() - started }, 'shutdown');
      return true;
    } catch (error) {
      logger.error({ err: toAloftError(error), step: name }, 'a step of the shutdown failed; the others go on');
      return false;
    } finally {
      clearTimeout(timer);
    }
  }
}
