import { runs, type Graph, type Run } from '@aloft/engine';
import { ExecutionEvents } from '@aloft/idl/aloft/v1/bus';
import type { LogEntry } from '@aloft/idl/aloft/v1/engine';
import { encodeBytes } from '../events/encode.js';
import { fitEvent } from '../events/fit-event.js';
import { toMs } from '../runs/clock.js';
import { pureEngine } from '../runs/engine.js';
import { decodeSegment } from '../runs/run-loader.js';

/**
 * Folds a run's history again, half of it into a snapshot and the rest onto that, and compares the events that come out with those
 * that were told. `graphs` are those compiled for runs before, by digest; new ones are added. Returns what differs, if anything.
 */
export function replayProblem(
  uid: string,
  history: Uint8Array,
  told: readonly Uint8Array[],
  blobs: ReadonlyMap<string, Uint8Array>,
  cut: number,
  graphs: Map<string, Graph>,
): string | undefined {
  const entries = decodeSegment(uid, 1n, history);
  const lookup = (digest: string): Graph => graphs.get(digest)!;
  const events: Uint8Array[] = [];
  let run: Run = runs.create();
  let time = 0;
  for (const [i, entry] of entries.entries()) {
    if (i === cut) run = runs.restore(run.snapshot(), lookup);
    load(entry, graphs, blobs);
    if (toMs(entry.time!) < time) return `the time of its log goes back at entry ${i + 1}`;
    time = toMs(entry.time!);
    run.apply(entry, lookup);
    for (const effect of run.takeEffects()) if (effect.kind === 'event') events.push(fitEvent(effect.event).bytes);
  }
  if (!run.finished) return `the replay of its ${entries.length} entries is not finished`;
  const replayed = encodeBytes((writer) => {
    for (const bytes of events) writer.uint32(10).bytes(bytes);
  });
  if (Buffer.concat(told).equals(replayed)) return undefined;
  const before = told.flatMap((bytes) =>
    ExecutionEvents.decode(bytes).events.filter(({ sequence }) => sequence !== 0n),
  );
  if (before.length !== events.length) return `the replay gives ${events.length} events, ${before.length} were told`;
  return 'the replay gives other events than were told';
}

function load(entry: LogEntry, graphs: Map<string, Graph>, blobs: ReadonlyMap<string, Uint8Array>): void {
  const needed = entry.input && runs.graphOf(entry.input);
  if (!needed || graphs.has(needed.digest)) return;
  graphs.set(needed.digest, pureEngine.compileGraph(needed.digest, blobs.get(needed.uri)!));
}
