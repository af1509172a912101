import { TaskUsage } from '@aloft/idl/aloft/v1/bus';
import { Behaviour, behaves } from '../behaviours.js';
import type { ArrayItems } from '../state/array-items.js';
import type { RunState } from '../state/run-state.js';

/** An item's attempt is over: what it used counts for its array (U-25). */
export function addItemUsage(run: RunState, items: ArrayItems, one: TaskUsage | undefined): void {
  if (!one || !behaves(run, Behaviour.TellsUse)) return;
  const sum = (items.usage ??= TaskUsage.create());
  sum.cpuSeconds += one.cpuSeconds;
  sum.memoryByteSeconds += one.memoryByteSeconds;
  if (one.peakMemoryBytes > sum.peakMemoryBytes) sum.peakMemoryBytes = one.peakMemoryBytes;
  sum.itemSeconds += secondsOf(one);
  sum.reserved ||= one.reserved;
}

function secondsOf({ startedAt, endedAt }: TaskUsage): number {
  if (!startedAt || !endedAt) return 0;
  return Math.max(0, Number(endedAt.seconds - startedAt.seconds) + (endedAt.nanos - startedAt.nanos) / 1e9);
}
