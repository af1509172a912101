import { currentBehaviours, runs, type Effect, type Graph, type Run } from '@aloft/engine';
import { AloftError } from '@aloft/errors';
import type { NumberedEntry, RunLogs, RunName, Stored } from './run-logs.js';
import type { RunGraphs } from './run-graphs.js';

/** One entry applied: the run is as it was after it until the next is asked for. */
export interface FoldStep extends NumberedEntry {
  run: Run;
  effects: Effect[];
  /** Whether it changed anything: entries that change nothing aren't logged. */
  changed: boolean;
}

/** Entries applied before others get their turn. */
const slice = 250;
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** State is the fold of the log: done here with the same pure engine that the propeller runs. */
export class RunFolder {
  constructor(
    private readonly logs: RunLogs,
    private readonly graphs: RunGraphs,
  ) {}

  /** From the first entry on, one by one. */
  async *fold(name: RunName, signal?: AbortSignal): AsyncGenerator<FoldStep> {
    yield* this.apply(runs.create(), new Map(), name, 1n, signal);
  }

  /** The run as it is: its snapshot, and what was logged since. */
  async current(name: RunName, signal?: AbortSignal): Promise<Run> {
    const stored = await this.logs.stored(name, signal);
    const loaded = new Map<string, Graph>();
    const run = stored.snapshot ? await this.restore(stored, loaded) : runs.create();
    const first = stored.snapshot ? stored.run.snapshotNextEntry : 1n;
    const steps = this.apply(run, loaded, name, first, signal);
    while (!(await steps.next()).done);
    return run;
  }

  /** A stored snapshot as a run; its graphs are put into `loaded`. */
  async restore({ run, snapshot }: Stored, loaded: Map<string, Graph>): Promise<Run> {
    const bytes = snapshot as Uint8Array;
    for (const digest of runs.graphsOf(bytes)) {
      if (!loaded.has(digest))
        loaded.set(digest, await this.graphs.load({ digest, uri: run.snapshotGraphs[digest] ?? '' }));
    }
    return runs.restore(bytes, (digest) => graphOf(loaded, digest));
  }

  private async *apply(
    run: Run,
    loaded: Map<string, Graph>,
    name: RunName,
    first: bigint,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<FoldStep> {
    let applied = 0;
    let next = first;
    for await (const { number, entry } of this.logs.entries(name, first, 0n, signal)) {
      if (number !== next++)
        throw new AloftError(
          'DATA_LOSS',
          `the log of run ${name.uid} has entry ${number} where ${next - 1n} should be`,
        );
      const unknown = entry.behaviourFlags & ~currentBehaviours;
      if (unknown !== 0n)
        throw new AloftError(
          'FAILED_PRECONDITION',
          `entry ${number} of run ${name.uid} was written with behaviours 0x${unknown.toString(16)} that this binary does not ` +
            'know: roll admin out to the version of the propeller',
        );
      const needed = entry.input && runs.graphOf(entry.input);
      if (needed && !loaded.has(needed.digest)) loaded.set(needed.digest, await this.graphs.load(needed));
      const changed = run.apply(entry, (digest) => graphOf(loaded, digest));
      yield { number, entry, run, changed, effects: run.takeEffects() };
      if (++applied % slice === 0) await nextTurn();
    }
  }
}

function graphOf(loaded: ReadonlyMap<string, Graph>, digest: string): Graph {
  const graph = loaded.get(digest);
  if (!graph) throw new AloftError('DATA_LOSS', `graph ${digest} is named by no entry of the log`);
  return graph;
}
