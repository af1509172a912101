import type { Action } from '../proxy/http-proxy.js';
import type { Random } from '../random.js';
import type { Errand, Part } from './part.js';

export const storms = ['throttle', 'fail', 'lose', 'cut', 'slow', 'mixed', 'outage'] as const;
export type Storm = (typeof storms)[number];

/** How a backend's API answers at the moment, the same for all hosts. */
export class Weather {
  private storm: Storm | undefined;
  private expired = 0;

  constructor(private readonly random: Random) {}

  set(storm: Storm | undefined): void {
    this.storm = storm;
  }

  /** The next so many watches are told that what they ask for is forgotten. */
  forget(watches: number): void {
    this.expired = watches;
  }

  async actionFor(errand: Errand, part: Part): Promise<Action> {
    if (errand === 'watch' && this.expired > 0) {
      this.expired--;
      return part.refusal('expired');
    }
    const { random } = this;
    const storm = this.storm === 'mixed' ? random.pick(['throttle', 'fail', 'lose', 'cut'] as const) : this.storm;
    // A few get through, so that a storm meets what is half done.
    if (storm === undefined || (storm !== 'outage' && random.chance(storm === 'lose' ? 40 : 15)))
      return { kind: 'pass' };
    switch (storm) {
      case 'throttle':
      case 'fail':
        return part.refusal(storm);
      case 'lose':
      case 'cut':
        return { kind: storm };
      case 'outage':
        return { kind: 'cut' };
      default:
        await new Promise((resolve) => setTimeout(resolve, random.duration(50, 2_000)));
        return { kind: 'pass' };
    }
  }
}
