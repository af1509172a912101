import type { Random } from '../random.js';
import { type Fate, type Verdicts } from './fates.js';
import { steps, type Step } from './host.js';
import { storms, type Storm } from './weather.js';

/** One thing that is done to a backend, its hosts or their work. */
export type BackendFaultPlan = { n: number; gapMs: number; lengthMs: number; pick: number; wait: boolean } & What;

export type What =
  | { kind: 'kill'; step: Step; afterMs: number }
  | { kind: 'stop' | 'pause' | 'cut database' | 'silence database' }
  | { kind: 'storm'; storm: Storm }
  | { kind: 'cut watches' | 'forget watches' | 'hold watches' | 'confuse events' | 'restart API' }
  | { kind: 'work'; fate: Fate };

/** What a part can have, besides what every one has. */
export interface Possible {
  verdicts: Verdicts;
  watches: boolean;
  events: boolean;
  restarts: boolean;
  /** Hosts beside each other. */
  shared: boolean;
}

/** The same seed gives the same faults. */
export function planBackendFaults(
  random: Random,
  count: number,
  possible: Possible,
  only: RegExp = /./,
): BackendFaultPlan[] {
  return Array.from({ length: count }, (_, n) => {
    let what = whatOf(random, possible);
    for (let tries = 1; !only.test(nameOf(what)); tries++) {
      if (tries > 10_000) throw new RangeError(`no fault that is possible here matches ${only}`);
      what = whatOf(random, possible);
    }
    return {
      n,
      gapMs: random.duration(20, 600),
      lengthMs: lengthOf(random, what, possible),
      pick: random.int(0, 1_000_000),
      wait: random.chance(50),
      ...what,
    };
  });
}

type Kind = What['kind'];

function whatOf(random: Random, { verdicts, watches, events, restarts }: Possible): What {
  const kinds: [Kind, number][] = [
    ['kill', 36],
    ['stop', 3],
    ['pause', 4],
    ['cut database', 3],
    ['silence database', 3],
    ['storm', 14],
    ['work', 26],
    ...(watches
      ? ([
          ['cut watches', 4],
          ['forget watches', 3],
          ['hold watches', 4],
        ] as [Kind, number][])
      : []),
    ...(events ? ([['confuse events', 6]] as [Kind, number][]) : []),
    ...(restarts ? ([['restart API', 2]] as [Kind, number][]) : []),
  ];
  const kind = random.pickWeighted(kinds);
  switch (kind) {
    case 'kill':
      return { kind, step: random.pick(steps), afterMs: random.duration(1, 120) };
    case 'storm':
      return { kind, storm: random.pick(storms) };
    case 'work':
      return { kind, fate: random.pick((Object.keys(verdicts) as Fate[]).filter((fate) => fate !== 'ok')) };
    default:
      return { kind };
  }
}

/** Where another host is, one may be away for longer than its lease. */
function lengthOf(random: Random, { kind }: What, { shared }: Possible): number {
  if (kind === 'kill' || kind === 'stop') return random.duration(20, shared ? 9_000 : 1_000);
  if (kind === 'pause') return random.duration(200, 9_000);
  return random.duration(100, 4_000);
}

export const nameOf = (fault: What): string =>
  fault.kind === 'kill'
    ? `kill ${fault.step}`
    : fault.kind === 'storm'
      ? `storm ${fault.storm}`
      : fault.kind === 'work'
        ? `work ${fault.fate}`
        : fault.kind;
