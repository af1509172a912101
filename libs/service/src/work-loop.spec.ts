import { createLogger } from '@aloft/telemetry';
import { WorkLoop } from './work-loop.js';

const logger = createLogger('test', { level: 'silent' });
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('WorkLoop', () => {
  // At each distance, in turns of promises, from the end of the run.
  it.each([0, 1, 2, 3, 4, 5, 6, 7])('a wake %i turns after the work was done is not lost', async (turns) => {
    let runs = 0;
    let told!: () => void;
    const done = new Promise<void>((resolve) => (told = resolve));
    const loop = new WorkLoop(
      {
        name: 'tests',
        run: async () => {
          runs += 1;
          told();
          return undefined;
        },
      },
      { logger },
    );
    loop.wake();
    await done;
    for (let i = 0; i < turns; i += 1) await Promise.resolve();
    loop.wake();
    for (let i = 0; i < 3; i += 1) await turn();
    expect(runs).toBe(2);
    await loop.stop();
  });

  it('runs once at a time, again when it was woken meanwhile, and again after a failure', async () => {
    let runs = 0;
    let under = 0;
    const ends: (() => void)[] = [];
    const loop = new WorkLoop(
      {
        name: 'tests',
        run: async () => {
          runs += 1;
          under += 1;
          expect(under).toBe(1);
          if (runs === 1) await new Promise<void>((resolve) => ends.push(resolve));
          under -= 1;
          if (runs === 2) throw new Error('the database is away');
          return runs === 3 ? undefined : 0;
        },
      },
      { logger, errorPauseMs: 1 },
    );
    loop.wake();
    loop.wake();
    ends[0]!();
    while (runs < 3) await turn();
    await loop.stop();
    expect(runs).toBe(3);
  });
});
