import { setTimeout as delay } from 'node:timers/promises';
import type { RunRecord } from '../evidence/evidence.js';
import type { Random } from '../random.js';
import { Client } from './client.js';
import { collect, follow } from './follow.js';
import { planRun, shapeNames, type PlannedRun } from './shapes.js';

export interface DriverSettings {
  /** Of the API, as clients reach it. */
  address: string;
  marks: string;
  /** Runs at once. */
  concurrency: number;
  /** Factor on how long tasks take. */
  pace: number;
  random: Random;
}

/** Keeps runs of all shapes going, each with a client of its own, and writes down what it learns of them. */
export class Driver {
  readonly runs: RunRecord[] = [];
  private launching = true;
  private readonly abort = new AbortController();
  private readonly lanes: Promise<void>[] = [];
  private next = 0;

  constructor(private readonly settings: DriverSettings) {}

  start(): void {
    for (let lane = 0; lane < this.settings.concurrency; lane++) this.lanes.push(this.lane(lane));
  }

  get ended(): number {
    return this.runs.filter(({ endedAt }) => endedAt !== undefined).length;
  }

  /** Launches no more (but at least one of each shape), and waits for what runs; what takes longer is given up as stuck. */
  async finish(settleMs: number): Promise<void> {
    this.launching = false;
    const timer = new AbortController();
    const over = Promise.all(this.lanes).then(() => timer.abort());
    await Promise.race([over, delay(settleMs, undefined, { signal: timer.signal }).catch(() => undefined)]);
    this.abort.abort();
    await over;
  }

  private async lane(number: number): Promise<void> {
    // Lanes begin one after the other, so that not all runs are in the same state.
    await delay(number * 150);
    while (this.launching || this.next < shapeNames.length) {
      const index = this.next++;
      const plan = planRun(this.settings.random, index, this.settings.pace);
      await this.drive(`${plan.shape}-${index}`, plan);
      if (this.abort.signal.aborted) return;
    }
  }

  private async drive(name: string, plan: PlannedRun): Promise<void> {
    const { signal } = this.abort;
    const client = new Client(this.settings.address);
    const run = record(name, plan);
    this.runs.push(run);
    try {
      await client.launch(name, plan, { ALOFT_FAULTS_MARKS: this.settings.marks }, signal);
      const aborting = plan.abortAfterMs === undefined ? undefined : this.abortLater(client, run, plan.abortAfterMs);
      await Promise.all([follow(client, run, signal), aborting]);
      await collect(client, run, signal);
      if (plan.child) await this.collectChildren(client, run, plan.child, signal);
    } catch (error) {
      if (!signal.aborted) run.clientErrors.push(String(error));
    } finally {
      client.close();
    }
  }

  private async abortLater(client: Client, run: RunRecord, ms: number): Promise<void> {
    await delay(ms);
    await client.terminate(run.name, 'the load aborts this run by plan', this.abort.signal);
  }

  private async collectChildren(
    client: Client,
    run: RunRecord,
    child: NonNullable<PlannedRun['child']>,
    signal: AbortSignal,
  ): Promise<void> {
    for (const { child: name } of run.nodes) {
      if (!name) continue;
      const inner = record(name, child);
      inner.launchedAt = run.launchedAt;
      this.runs.push(inner);
      await follow(client, inner, signal);
      await collect(client, inner, signal);
    }
  }
}

function record(name: string, { shape, expect }: Pick<PlannedRun, 'shape' | 'expect'>): RunRecord {
  return {
    name,
    shape,
    expect,
    launchedAt: Date.now(),
    observations: [],
    streamFaults: [],
    nodes: [],
    clientErrors: [],
  };
}
