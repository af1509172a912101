import type { ItemPage } from '@aloft/idl/aloft/v1/bus';
import { ExecutionError_ErrorKind } from '@aloft/idl/flyteidl/core/execution';
import { Behaviour, currentBehaviours } from '../behaviours.js';
import { array, closure, Driver, type DriverOptions, INT, int, listOf, task } from '../testing/index.js';

const tasks = { t: { inputs: { a: INT }, outputs: { o: INT } } };

describe('C-147: of an array with more items than are listed, events tell the states of all', () => {
  const over = 7;
  const size = 5_000 + over;

  function mapped(items: number, options: DriverOptions = {}): Driver {
    const inputs = listOf(Array.from({ length: items }, () => int(1)));
    return new Driver(closure({ tasks, nodes: [array('n0', task('item', 't'), { a: inputs })] }), options);
  }

  const pagesOf = (driver: Driver): ItemPage[][] =>
    driver.effects.flatMap((each) =>
      each.kind === 'event' && each.event.event?.$case === 'task' ? [each.event.itemPages] : [],
    );

  /** State and attempt of each item, as the pages told them last. */
  function told(driver: Driver): string[] {
    const pages = new Map(pagesOf(driver).flatMap((each) => each.map((page) => [page.firstIndex, page])));
    return [...pages.values()]
      .sort((a, b) => a.firstIndex - b.firstIndex)
      .flatMap(({ firstIndex, states, attempts }) =>
        Array.from({ length: Math.min(1000, size - firstIndex) }, (_, at) => {
          const state = ((states[at >>> 2] ?? 0) >>> ((at & 3) << 1)) & 3;
          return `${'wasf'[state]}${attempts[at] ?? 0}`;
        }),
      );
  }

  const succeed = (driver: Driver, index: number) => driver.succeed('n0', { o: int(1) }, index);

  it('as they were begun, tried again and ended, also through a snapshot', () => {
    const driver = mapped(size);
    for (let index = 0; index < over; index++) succeed(driver, index);
    driver.fail('n0', { index: 10, retryable: true, kind: ExecutionError_ErrorKind.SYSTEM });
    driver.restart();
    driver.advance(1);
    const half = told(driver);
    expect(half).toHaveLength(size);
    expect(half.slice(0, over + 1)).toEqual([...Array<string>(over).fill('s0'), 'a0']);
    // The one that failed is at the end of the line, and the last items took the places of those that are over.
    expect(half.slice(10, 12)).toEqual(['a1', 'a0']);
    expect(half.slice(-over)).toEqual(Array<string>(over).fill('a0'));
    for (let index = over; index < size; index++) succeed(driver, index);
    expect(driver.phase()).toBe('SUCCEEDED');
    expect(told(driver).map((item, at) => (at === 10 ? item === 's1' : item === 's0'))).not.toContain(false);
  });

  it('once for every page that changed, not for all', () => {
    const driver = mapped(size);
    driver.advance(1);
    const before = pagesOf(driver).length;
    succeed(driver, 4_999);
    driver.advance(1);
    const told = pagesOf(driver).slice(before);
    expect(told.flatMap((pages) => pages.map(({ firstIndex }) => firstIndex))).toEqual([4000, 5000]);
  });

  it('not of smaller arrays, whose items are listed, nor of runs from before', () => {
    const small = mapped(3);
    for (let index = 0; index < 3; index++) succeed(small, index);
    const old = mapped(size, { behaviours: currentBehaviours & ~BigInt(Behaviour.TellsItems) });
    succeed(old, 0);
    old.advance(1);
    for (const driver of [small, old]) expect(pagesOf(driver).flat()).toEqual([]);
  });
});
