import { timestampOf } from '@aloft/backend-kit';
import type { TaskUsage } from '@aloft/idl/aloft/v1/bus';
import { describedAtOnce } from '../client/batch-calls.js';
import type { Described, Describer } from '../jobs/describer.js';
import { hasEnded } from '../jobs/terminator.js';
import { usageOf, type EndedJob } from '../jobs/verdict.js';

/** Of more children than one call describes, so many are asked for. */
const sampled = 20;

/** What a child that succeeded used; `undefined` where nothing is known of any. */
export type ArrayUse = (child: number, job: EndedJob) => TaskUsage | undefined;

/**
 * What children of an array that succeeded used (U-25), for no more than one call: as Batch says it of each of up to a hundred, which were noticed together;
 * of more of them as it says of some that lie evenly among them, and of the others their mean. Never throws: an end does not wait for it.
 */
export async function useOfChildren(
  parent: Described,
  children: readonly number[],
  describer: Pick<Describer, 'describe'>,
): Promise<ArrayUse> {
  const asked = children.length <= describedAtOnce ? children : spread(children, sampled);
  const idOf = (child: number) => `${parent.jobId}:${child}`;
  const described = await describer.describe(asked.map(idOf)).catch(() => new Map<string, Described>());
  const known = [...described].filter(([, child]) => hasEnded(child) && child.startedAt);
  const uses = new Map(known.map(([id, child]) => [id, usageOf(child, child)]));
  const mean = meanOf([...uses.values()]);
  return (child, { stoppedAt }) => uses.get(idOf(child)) ?? mean?.(stoppedAt ?? Date.now());
}

/** So many of them, evenly. */
const spread = (children: readonly number[], count: number): number[] =>
  Array.from({ length: count }, (_, i) => children[Math.floor(((i + 0.5) * children.length) / count)] as number);

/** The mean as that of a child that ended then, in milliseconds since 1970. */
function meanOf(uses: readonly TaskUsage[]): ((endedAt: number) => TaskUsage) | undefined {
  if (uses.length === 0) return undefined;
  const mean = (of: (use: TaskUsage) => number) => uses.reduce((sum, use) => sum + of(use), 0) / uses.length;
  const cpuSeconds = mean((use) => use.cpuSeconds);
  const memoryByteSeconds = mean((use) => use.memoryByteSeconds);
  const ms = mean((use) => millisecondsOf(use.endedAt) - millisecondsOf(use.startedAt));
  return (endedAt) => ({
    cpuSeconds,
    memoryByteSeconds,
    peakMemoryBytes: 0n,
    itemSeconds: 0,
    reserved: true,
    startedAt: timestampOf(new Date(endedAt - ms)),
    endedAt: timestampOf(new Date(endedAt)),
  });
}

const millisecondsOf = (at: TaskUsage['startedAt']): number =>
  Number(at?.seconds ?? 0n) * 1000 + (at?.nanos ?? 0) / 1e6;
