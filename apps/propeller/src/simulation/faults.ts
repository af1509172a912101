import type { Random } from './random.js';
import { calm, type Weather } from './sim-process.js';

/** What goes wrong in a world, and when (milliseconds of world time). */
export type Fault =
  /** `ms`: how long it is down, stands still, or how far its clock jumps. */
  | { kind: 'crash' | 'restart' | 'pause' | 'clock'; at: number; node: number; ms: number }
  | { kind: 'storm'; at: number; ms: number; of: 'database' | 'catalog' | 'admin' | 'blob'; weather: Weather };

export interface FaultPlan {
  /** How it is when nothing else is said. */
  weather: Weather;
  faults: Fault[];
}

/** Faults come while this time lasts; afterwards everything works, and what is still under way has to come to its end. */
export const faultyMs = 40_000;

export function faultPlan(random: Random, nodes: number): FaultPlan {
  const rate = random.pick([0, 0, 0.005, 0.03]);
  const weather: Weather = rate === 0 ? calm : { failing: rate, deaf: rate, slow: rate, hangMs: 4000 };
  const faults = Array.from({ length: random.below(7) }, () => fault(random, nodes));
  return { weather, faults: faults.sort((a, b) => a.at - b.at) };
}

function fault(random: Random, nodes: number): Fault {
  // Most happens in the first second, when most is under way.
  const at = random.chance(0.6) ? random.between(0, 1500) : random.between(0, faultyMs);
  const node = random.below(nodes);
  switch (random.below(6)) {
    case 0:
    case 1:
      return { kind: 'crash', at, node, ms: random.between(10, 8000) };
    case 2:
      return { kind: 'restart', at, node, ms: random.between(10, 3000) };
    case 3:
      return { kind: 'pause', at, node, ms: random.pick([50, 1000, 5000, 15_000]) * random.next() };
    case 4:
      return { kind: 'clock', at, node, ms: random.pick([-3600_000, -5000, 5000, 60_000]) * random.next() };
    default: {
      const of = random.pick(['database', 'database', 'database', 'catalog', 'admin', 'blob'] as const);
      const bad = random.between(0.1, 0.9);
      const weather = random.pick<Weather>([
        { failing: bad, deaf: 0, slow: 0, hangMs: 0 },
        { failing: 0, deaf: bad, slow: 0, hangMs: 0 },
        { failing: 0, deaf: 0, slow: bad, hangMs: 20_000 },
        { failing: bad / 2, deaf: bad / 2, slow: bad, hangMs: 3000 },
      ]);
      return { kind: 'storm', at, ms: random.between(100, 8000), of, weather };
    }
  }
}

export function textOf(fault: Fault): string {
  const where = 'node' in fault ? `node ${fault.node}` : `${fault.of}`;
  return `${(fault.at / 1000).toFixed(3)} s: ${fault.kind} of ${where}`;
}
