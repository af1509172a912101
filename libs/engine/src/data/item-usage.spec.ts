import { TaskUsage } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { Behaviour, currentBehaviours } from '../behaviours.js';
import { array, closure, Driver, type DriverOptions, eachWay, INT, int, listOf, task } from '../testing/index.js';

const tasks = { t: { inputs: { a: INT }, outputs: { o: INT } } };
const at = (seconds: number) => ({ seconds: BigInt(seconds), nanos: 0 });
const used = (cpuSeconds: number, peak: bigint, from: number, to: number) =>
  TaskUsage.fromPartial({
    cpuSeconds,
    memoryByteSeconds: 100,
    peakMemoryBytes: peak,
    startedAt: at(from),
    endedAt: at(to),
  });

eachWay('what was used (U-25)', () => {
  const usages = (driver: Driver) =>
    driver.effects.flatMap((each) =>
      each.kind === 'event' && each.event.event?.$case === 'task' ? [each.event.usage] : [],
    );

  function mapped(options: DriverOptions = {}): Driver {
    const nodes = [array('n0', task('item', 't'), { a: listOf([int(1), int(2)]) })];
    return new Driver(closure({ tasks, nodes }), options);
  }

  function report(driver: Driver, index: number, usage: TaskUsage): void {
    const result = {
      $case: 'outputs' as const,
      value: { value: { $case: 'inline' as const, value: { literals: { o: int(1) } } } },
    };
    driver.report(driver.launchOf('n0', index), Phase.SUCCEEDED, {
      usage,
      outcome: { result, deckUri: '', checkpointUri: '' },
    });
  }

  it('by the items of an array is told with it, all together', () => {
    const driver = mapped();
    report(driver, 0, used(2, 10n, 0, 5));
    report(driver, 1, used(3, 30n, 2, 10));
    expect(driver.phase()).toBe('SUCCEEDED');
    expect(usages(driver).at(-1)).toMatchObject({
      ...{ cpuSeconds: 5, memoryByteSeconds: 200, peakMemoryBytes: 30n, itemSeconds: 13, reserved: false },
      ...{ startedAt: undefined, endedAt: undefined },
    });
  });

  it('by attempts and items that were told to end, too', () => {
    const nodes = [task('n1', 't', { a: int(1) }), array('n0', task('item', 't'), { a: listOf([int(1)]) })];
    const driver = new Driver(closure({ tasks, nodes }), { aborts: 'unheard' });
    const launches = [driver.launchOf('n1'), driver.launchOf('n0', 0)];
    driver.abort();
    for (const [i, launch] of launches.entries())
      driver.report(launch, Phase.ABORTED, { usage: used(7 + i, 1n, 0, 4) });
    expect(driver.phase()).toBe('ABORTED');
    const told = usages(driver).filter((usage) => usage !== undefined);
    expect(told).toMatchObject([
      { cpuSeconds: 7, itemSeconds: 0 },
      { cpuSeconds: 8, itemSeconds: 4 },
    ]);
  });

  it('is not told of runs from before', () => {
    const driver = mapped({ behaviours: currentBehaviours & ~BigInt(Behaviour.TellsUse) });
    report(driver, 0, used(2, 10n, 0, 5));
    report(driver, 1, used(2, 10n, 0, 5));
    expect(usages(driver).every((usage) => usage === undefined)).toBe(true);
  });
});
