import type { Shape } from './platform/platform.js';
import { Random } from './random.js';

/** What is done to a target. `stop` is SIGTERM; links are `cut`, `blackhole`d or made `slow`. */
export type FaultKind = 'kill' | 'stop' | 'pause' | 'cut' | 'blackhole' | 'slow';

export interface PlannedFault {
  n: number;
  kind: FaultKind;
  /** Which sort of target; `pick` says which of those there are. */
  role: string;
  pick: number;
  /** After the beginning of the fault before, or its recovery, ms. */
  gapMs: number;
  /** How long a process stays down or stopped, a line broken, ms. */
  lengthMs: number;
  latencyMs: number;
  bytesPerSecond: number;
  /** Whether the next fault waits until this one has been recovered from. */
  wait: boolean;
}

type Weighted = readonly (readonly [`${FaultKind} ${string}`, number])[];

const embedded: Weighted = [
  ['kill platform', 16],
  ['stop platform', 6],
  ['pause platform', 8],
  ['kill launcher', 8],
  ['pause launcher', 6],
  ['kill task', 8],
  ['kill postgres', 8],
  ['kill postgres-backend', 8],
  ['pause postgres-backend', 8],
  ['cut clients', 5],
  ['blackhole clients', 4],
  ['slow clients', 5],
];

const distributed: Weighted = [
  ['kill propeller', 10],
  ['stop propeller', 5],
  ['pause propeller', 6],
  ['kill backends', 9],
  ['stop backends', 4],
  ['pause backends', 5],
  ['kill admin', 6],
  ['stop admin', 3],
  ['pause admin', 4],
  ['kill catalog', 2],
  ['stop catalog', 1],
  ['pause catalog', 2],
  ['kill notifier', 1],
  ['stop notifier', 1],
  ['kill launcher', 4],
  ['pause launcher', 2],
  ['kill task', 4],
  ['kill kafka', 3],
  ['stop kafka', 1],
  ['pause kafka', 4],
  ['kill postgres', 3],
  ['kill postgres-backend', 5],
  ['pause postgres-backend', 4],
  ['kill s3', 2],
  ['pause s3', 2],
  ['cut kafka', 4],
  ['blackhole kafka', 4],
  ['slow kafka', 3],
  ['cut postgres', 4],
  ['blackhole postgres', 4],
  ['slow postgres', 3],
  ['cut s3', 2],
  ['blackhole s3', 2],
  ['slow s3', 1],
  ['cut services', 2],
  ['blackhole services', 2],
  ['slow services', 1],
  ['cut clients', 2],
  ['blackhole clients', 2],
  ['slow clients', 1],
];

export const weights: Readonly<Record<Shape, Weighted>> = { embedded, distributed };

export interface ScheduleSettings {
  seed: number;
  faults: number;
  shape: Shape;
  /** Only kinds whose `kind role` matches. */
  only?: RegExp;
  /** None whose `kind role` matches. */
  without?: RegExp;
}

/** The faults of a round: the same seed, shape and filter give the same ones. */
export function planFaults({ seed, faults, shape, only, without }: ScheduleSettings): PlannedFault[] {
  const random = new Random(seed, 'faults');
  const wanted = weights[shape].filter(([name]) => (!only || only.test(name)) && !without?.test(name));
  if (wanted.length === 0) throw new RangeError(`no fault of the ${shape} shape matches ${String(only)}`);
  return Array.from({ length: faults }, (_, n) => {
    const [kind, role] = random.pickWeighted(wanted).split(' ') as [FaultKind, string];
    return {
      n,
      kind,
      role,
      pick: random.int(0, 1_000_000),
      gapMs: random.duration(20, 2_000),
      lengthMs: lengthOf(random, kind, shape),
      latencyMs: random.duration(5, 400),
      bytesPerSecond: random.duration(20_000, 2_000_000),
      wait: random.chance(60),
    };
  });
}

function lengthOf(random: Random, kind: FaultKind, shape: Shape): number {
  // Where there are others, one may stay away for longer than a lease; where there is one, nothing could happen meanwhile.
  if (kind === 'kill' || kind === 'stop') return random.duration(100, shape === 'embedded' ? 500 : 6_000);
  return random.duration(100, 6_000);
}
