import { Route_By as By, Routing } from '@aloft/idl/aloft/v1/routing';
import { ExecutionError_ErrorKind, TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { array, closure, Driver, eachWay, INT, int, listOf, task, textOf } from '../testing/index.js';

const tasks = { t: { type: 'python-task', outputs: { o: INT } }, item: { inputs: { a: INT }, outputs: { o: INT } } };
const routing = Routing.fromPartial({
  rules: [
    { name: 'spot', when: { interruptible: true }, then: { backend: 'aws-batch', queue: 'spot' } },
    { name: 'items', when: { tasks: ['item'] }, then: { backend: 'kubernetes' } },
  ],
  defaultBackend: 'local',
  backends: ['local', 'aws-batch', 'kubernetes'],
});

eachWay('routes (U-23)', () => {
  it('are what the run was started with: told with the first event of an attempt, and where its end is told', () => {
    const driver = new Driver(closure({ tasks, nodes: [task('n0', 't')] }), {
      settings: { routing, interruptible: true },
    });
    const launch = driver.launchOf('n0');
    expect(launch.routed?.route).toMatchObject({ backend: 'aws-batch', by: By.RULE, rule: 'spot' });
    const [first] = driver.effects.flatMap((each) =>
      each.kind === 'event' && each.event.event?.$case === 'task' ? [each.event] : [],
    );
    expect(first?.route).toMatchObject({ backend: 'aws-batch', because: 'interruptible' });
    expect(first?.event?.value).toMatchObject({
      phase: Phase.QUEUED,
      reason: 'Goes to aws-batch by rule spot (interruptible).',
      metadata: { pluginIdentifier: 'aws-batch' },
    });
    driver.abort();
    const abort = driver.effects.find(({ kind }) => kind === 'abort');
    expect(abort).toMatchObject({ routed: { route: { backend: 'aws-batch' } } });
    expect(textOf(driver.replay())).toEqual(textOf(driver.effects));
  });

  it('of another attempt may differ: the last try does not go to spot capacity (C-41)', () => {
    const driver = new Driver(closure({ tasks, nodes: [task('n0', 't')] }), {
      settings: { routing, interruptible: true, maxSystemRetries: 2 },
    });
    driver.fail('n0', { kind: ExecutionError_ErrorKind.SYSTEM, retryable: true });
    expect(driver.launchOf('n0').routed?.route).toMatchObject({ backend: 'local', by: By.DEFAULT });
  });

  it('of items are told with their array', () => {
    const nodes = [array('n0', task('i', 'item'), { a: listOf([int(1), int(2)]) })];
    const driver = new Driver(closure({ tasks, nodes }), { settings: { routing } });
    expect(driver.launched.map(({ routed }) => routed?.route?.rule)).toEqual(['items', 'items']);
    const routes = driver.effects.flatMap((each) =>
      each.kind === 'event' && each.event.route ? [each.event.route.rule] : [],
    );
    expect(routes).toEqual(['items']);
  });

  it('of runs from before are left to the shell', () => {
    const driver = new Driver(closure({ tasks, nodes: [task('n0', 't')] }));
    expect(driver.launchOf('n0').routed).toBeUndefined();
  });
});
