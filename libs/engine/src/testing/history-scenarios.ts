import fc from 'fast-check';
import { TaskUsage } from '@aloft/idl/aloft/v1/bus';
import { CacheLookedUp_Result as Result, RecoveredNode, type CacheLookedUp } from '@aloft/idl/aloft/v1/engine';
import {
  ExecutionError_ErrorKind as ErrorKind,
  TaskExecution_Phase as Phase,
  WorkflowExecution_Phase,
} from '@aloft/idl/flyteidl/core/execution';
import type { StartChild } from '../api.js';
import {
  array,
  BOOL,
  bool,
  branch,
  child,
  closure,
  compare,
  gate,
  INT,
  int,
  list,
  listOf,
  sub,
  task,
} from './closures.js';
import { fickleRouting, nativeRouting } from './fickle-routing.js';
import { controlShapes } from './control-scenarios.js';
import { Driver, type DriverOptions } from './driver.js';
import { flowArbitrary } from './random-flow.js';
import { Simulation } from './simulate.js';

export interface HistoryScenario {
  name: string;
  description: string;
  run(): Driver;
}

const tasks = {
  t: { inputs: { a: INT }, outputs: { o: INT }, metadata: { retries: { retries: 2 } } },
  cached: {
    inputs: { a: INT },
    outputs: { o: INT },
    metadata: { discoverable: true, discoveryVersion: '1', cacheSerializable: true },
  },
  limited: { inputs: { a: INT }, outputs: { o: INT }, metadata: { timeout: { seconds: 30n, nanos: 0 } } },
};
const step = (id: string, from: string | undefined = undefined, after: string[] = []) =>
  task(id, 't', { a: from ?? int(1) }, { after });
const looked = (value: Partial<CacheLookedUp>) => ({
  $case: 'cache' as const,
  value: { result: Result.MISS, outputs: undefined, metadata: undefined, holder: '', retryAt: undefined, ...value },
});
const nap = (seconds: bigint) => ({ $case: 'sleep' as const, value: { duration: { seconds, nanos: 0 } } });
const outputs = (o: number) => ({ value: { $case: 'inline' as const, value: { literals: { o: int(o) } } } });

/** Each is run twice: as this version behaves, and as runs behaved before there were behaviour flags. */
const shapes: [name: string, description: string, run: (options: DriverOptions) => Driver][] = [
  [
    'chain',
    'three tasks, each with a report of its running',
    (options) => {
      const driver = new Driver(
        closure({ tasks, nodes: [step('n0'), step('n1', 'n0.o'), step('n2', 'n1.o')], outputs: { r: 'n2.o' } }),
        options,
      );
      for (const [at, id] of ['n0', 'n1', 'n2'].entries()) {
        driver.now = { seconds: 1000n + BigInt(at), nanos: 5 };
        driver.running(id);
        driver.succeed(id, { o: int(at) });
      }
      return driver;
    },
  ],
  [
    'fan-out-parallelism',
    'twenty tasks under max_parallelism 3, ended out of order, and what joins them',
    (options) => {
      const ids = Array.from({ length: 20 }, (_, at) => `n${at}`);
      const driver = new Driver(
        closure({ tasks, nodes: [...ids.map((id) => step(id)), step('join', 'n7.o', ids)], outputs: { r: 'join.o' } }),
        { ...options, settings: { maxParallelism: 3 } },
      );
      while (driver.launched.length > 0) driver.succeed(driver.launched.at(-1)!.attempt.nodeId, { o: int(2) });
      return driver;
    },
  ],
  [
    'retries',
    "the user's and the system's failures of one task, until its budget is spent",
    (options) => {
      const driver = new Driver(closure({ tasks, nodes: [step('n0'), step('n1')], outputs: {} }), options);
      driver.fail('n0', { retryable: true, checkpoint: 's3://c/1' });
      driver.fail('n0', { retryable: true, kind: ErrorKind.SYSTEM });
      driver.running('n0');
      driver.fail('n0', { retryable: true });
      driver.fail('n0', { retryable: true });
      return driver;
    },
  ],
  [
    'failure-node',
    'a failure handled by the failure node',
    (options) => {
      const driver = new Driver(
        closure({
          tasks,
          nodes: [step('n0'), step('n1')],
          outputs: {},
          failureNode: task('handle', 't', { a: int(1) }),
        }),
        options,
      );
      driver.fail('n0');
      for (const id of driver.launchedIds()) driver.succeed(id, { o: int(1) });
      return driver;
    },
  ],
  [
    'fail-after-executable',
    'what does not depend on the failed node goes on to its end',
    (options) => {
      const driver = new Driver(
        closure({
          tasks,
          nodes: [step('bad'), step('n1', 'bad.o'), step('n2'), step('n3', 'n2.o')],
          outputs: {},
          failAfter: true,
        }),
        options,
      );
      driver.fail('bad');
      driver.succeed('n2', { o: int(1) });
      driver.succeed('n3', { o: int(1) });
      return driver;
    },
  ],
  [
    'branches',
    'two branches: one takes its first case, one its else, which nests another',
    (options) => {
      const limited = (id: string, limit: number, inner: ReturnType<typeof step>, otherwise: ReturnType<typeof step>) =>
        branch(id, { '.v': 'in.x' }, [[compare('.v', '>', int(limit)), inner]], otherwise);
      const driver = new Driver(
        closure({
          tasks,
          inputs: { x: INT },
          nodes: [
            limited('b0', 3, step('big', 'in.x'), step('small', 'in.x')),
            limited('b1', 9, step('large', 'in.x'), limited('b2', 4, step('mid', 'in.x'), step('low', 'in.x'))),
          ],
          outputs: { r: 'b0.o' },
        }),
        { ...options, inputs: { x: int(5) } },
      );
      for (let next = driver.launchedIds()[0]; next; next = driver.launchedIds()[0])
        driver.succeed(next, { o: int(7) });
      return driver;
    },
  ],
  [
    'sub-workflow-timeout',
    'a sub-workflow that takes too long and is tried again as a whole',
    (options) => {
      const inner = { inputs: { x: INT }, nodes: [step('n0', 'in.x')], outputs: { y: 'n0.o' } };
      const metadata = { timeout: { seconds: 9n, nanos: 0 }, retries: { retries: 1 } };
      const driver = new Driver(
        closure({
          tasks,
          subs: { inner },
          nodes: [sub('n1', 'inner', { x: int(1) }, { metadata })],
          outputs: { r: 'n1.y' },
        }),
        options,
      );
      driver.advance(9);
      driver.succeed('n1-1-n0', { o: int(2) });
      return driver;
    },
  ],
  [
    'gates',
    'a signal set before its gate is reached, an approval, a sleep, and a rejection',
    (options) => {
      const driver = new Driver(
        closure({
          tasks,
          nodes: [
            gate('get', { $case: 'signal', value: { signalId: 'flag', type: BOOL, outputVariableName: 'o0' } }),
            gate('ask', { $case: 'approve', value: { signalId: 'ok' } }, {}, { after: ['get'] }),
            gate('nap', nap(60n), {}, { after: ['ask'] }),
            gate('no', { $case: 'approve', value: { signalId: 'never' } }, {}, { after: ['nap'] }),
          ],
          outputs: {},
        }),
        options,
      );
      driver.signal('ok', bool(false));
      driver.signal('ok', bool(true), 2n);
      driver.signal('flag', bool(true));
      driver.advance(60);
      driver.signal('never', bool(false));
      return driver;
    },
  ],
  [
    'array',
    'a map over twelve items, four at once, with retries, a failure that is allowed, and coalesced events',
    (options) => {
      const items = Array.from({ length: 12 }, (_, at) => int(at));
      const node = array('n0', task('item', 't'), { a: items }, { parallelism: 4, minSuccesses: 11 });
      const driver = new Driver(closure({ tasks, nodes: [node], outputs: { r: 'n0.o' } }), options);
      driver.fail('n0', { index: 1, retryable: true });
      driver.fail('n0', { index: 2 });
      driver.advance(1);
      for (let next = driver.launched[0]; next; next = driver.launched[0])
        driver.succeed('n0', { o: int(next.attempt.index! * 10) }, next.attempt.index);
      return driver;
    },
  ],
  [
    'children',
    'child executions: one succeeds, one fails, one is stopped with its parent',
    (options) => {
      const driver = new Driver(
        closure({
          tasks,
          nodes: [child('good', 'p'), child('bad', 'p'), child('lost', 'p')],
          outputs: {},
          failAfter: true,
        }),
        options,
      );
      const asks = [...driver.requests.values()] as StartChild[];
      for (const ask of asks) {
        driver.answerNext('start-child', {
          $case: 'child',
          value: { child: driver.childId(ask), childUid: `uid-${ask.name}` },
        });
      }
      driver.childEnded(asks[0]!, WorkflowExecution_Phase.SUCCEEDED);
      driver.childEnded(asks[1]!, WorkflowExecution_Phase.FAILED);
      driver.abort();
      return driver;
    },
  ],
  [
    'cache',
    'a hit, a miss that is computed and stored, a reservation that is waited for twice, a look-up and a store that fail',
    (options) => {
      const nodes = ['hit', 'miss', 'held', 'lost'].map((id) => task(id, 'cached', { a: int(1) }));
      const driver = new Driver(closure({ tasks, nodes, outputs: {} }), options);
      driver.answerNext('cache-lookup', looked({ result: Result.HIT, outputs: outputs(5) }));
      driver.answerNext('cache-lookup', looked({}));
      const held = { result: Result.RESERVED, holder: 'p/d/other/1' };
      driver.answerNext('cache-lookup', looked({ ...held, retryAt: { seconds: 1010n, nanos: 0 } }));
      driver.answerNext('cache-lookup', looked({ result: Result.FAILED }));
      driver.succeed('miss', { o: int(1) });
      driver.answerNext('cache-store', {
        $case: 'cacheStored',
        value: { failed: false, metadata: undefined, reason: '' },
      });
      driver.advance(10);
      driver.answerNext('cache-lookup', looked({ ...held, retryAt: { seconds: 1020n, nanos: 0 } }));
      driver.advance(10);
      driver.answerNext('cache-lookup', looked({}));
      for (const id of ['held', 'lost']) {
        driver.succeed(id, { o: int(2) });
        driver.answerNext('cache-store', {
          $case: 'cacheStored',
          value: { failed: true, metadata: undefined, reason: 'no' },
        });
      }
      return driver;
    },
  ],
  [
    'dynamic',
    'a dynamic task whose workflow has a dynamic task',
    (options) => {
      const driver = new Driver(closure({ tasks, nodes: [step('n0')], outputs: { r: 'n0.o' } }), options);
      const inner = closure({ tasks, nodes: [step('dn0')], outputs: { o: 'dn0.o' } });
      for (const id of ['n0', 'n0-0-dn0']) {
        driver.report(driver.launchOf(id), Phase.SUCCEEDED, {
          outcome: {
            result: { $case: 'futures', value: { uri: 's3://futures', size: 1n, digest: Buffer.alloc(0) } },
            deckUri: 's3://deck',
            checkpointUri: '',
          },
        });
        const closureDigest = driver.addGraph(inner);
        driver.answerNext('resolve-graph', { $case: 'graph', value: { closureUri: 's3://closure', closureDigest } });
      }
      for (let next = driver.launchedIds()[0]; next; next = driver.launchedIds()[0])
        driver.succeed(next, { o: int(3) });
      return driver;
    },
  ],
  [
    'timeout',
    'a task that runs longer than its limit',
    (options) => {
      const driver = new Driver(
        closure({ tasks, nodes: [task('n0', 'limited', { a: int(1) })], outputs: {} }),
        options,
      );
      driver.running('n0');
      driver.advance(31);
      return driver;
    },
  ],
  [
    'recovery',
    'a recovered run: one node is taken over, the other runs again with its checkpoint',
    (options) => {
      const driver = new Driver(closure({ tasks, nodes: [step('n0'), step('n1', 'n0.o')], outputs: { r: 'n1.o' } }), {
        ...options,
        start: { recoverFrom: { project: 'p', domain: 'd', name: 'old', org: '' }, recoverFromUid: 'old-uid' },
      });
      const recovered = (value: Partial<RecoveredNode>) => ({
        $case: 'recovered' as const,
        value: { ...RecoveredNode.create(), ...value },
      });
      driver.answerNext('recovered-node', recovered({ found: true, outputs: outputs(8) }));
      driver.answerNext('recovered-node', recovered({ checkpointUri: 's3://old/checkpoint' }));
      driver.succeed('n1', { o: int(9) });
      return driver;
    },
  ],
  [
    'stored-literals',
    'outputs too large for a message, an element of them read by a branch and bound by a task',
    (options) => {
      const lists = { many: { outputs: { o: list(INT) } } };
      const driver = new Driver(
        closure({
          tasks: { ...tasks, ...lists },
          nodes: [task('n0', 'many'), task('n1', 't', { a: { promise: 'n0.o', path: [2] } })],
          outputs: { r: 'n1.o' },
        }),
        options,
      );
      const literals = {
        o: { ...int(0), value: { $case: 'collection' as const, value: { literals: [int(1), int(2), int(3)] } } },
      };
      driver.succeedWith(driver.launchOf('n0'), driver.store.stored('s3://big/outputs.pb', literals));
      driver.succeed('n1', { o: int(4) });
      return driver;
    },
  ],
  [
    'waits',
    'a backend without room, a quota and an image, over two attempts; the run is aborted while a node is parked',
    (options) => {
      const driver = new Driver(closure({ tasks, nodes: [step('n0'), step('n1')], outputs: {} }), {
        ...options,
        settings: { maxParallelism: 1 },
      });
      driver.report(driver.launchOf('n0'), Phase.WAITING_FOR_RESOURCES, { reason: 'gpu 1 asked, 0 free' });
      driver.report(driver.launchOf('n0'), Phase.INITIALIZING, { reason: 'pulling image' });
      driver.running('n0');
      driver.fail('n0', { retryable: true });
      driver.report(driver.launchOf('n0'), Phase.WAITING_FOR_RESOURCES, { waitsFor: 5, reason: 'quota' });
      driver.running('n0');
      driver.abort();
      return driver;
    },
  ],
  [
    'unfinished',
    'a run that goes on: tasks in flight, a gate, a timer and a request without an answer',
    (options) => {
      const nodes = [step('n0'), step('n1'), gate('nap', nap(600n)), child('kid', 'p'), step('n2', 'n0.o', ['nap'])];
      const driver = new Driver(closure({ tasks, nodes, outputs: {} }), options);
      driver.running('n0');
      driver.succeed('n0', { o: int(1) });
      return driver;
    },
  ],
  [
    'routes-and-use',
    'rules that send the attempts of one node to different backends; what attempts and items used, also those told to end',
    (options) => {
      const nodes = [step('n0'), step('n3'), array('n1', task('item', 't'), { a: listOf([int(1), int(2), int(3)]) })];
      const settings = { routing: fickleRouting, interruptible: true, maxSystemRetries: 2 };
      const driver = new Driver(closure({ tasks, nodes }), { ...options, settings, aborts: 'late' });
      const usage = TaskUsage.fromPartial({
        ...{ cpuSeconds: 3, memoryByteSeconds: 1e9, peakMemoryBytes: 500n },
        ...{ startedAt: { seconds: 990n, nanos: 5e8 }, endedAt: { seconds: 1000n, nanos: 0 } },
      });
      driver.fail('n0', { kind: ErrorKind.SYSTEM, retryable: true });
      const outcome = { result: { $case: 'outputs' as const, value: outputs(1) }, deckUri: '', checkpointUri: '' };
      driver.report(driver.launchOf('n0'), Phase.SUCCEEDED, { usage, outcome });
      driver.report(driver.launchOf('n1', 1), Phase.SUCCEEDED, { usage, outcome });
      driver.running('n3');
      driver.abort();
      while (driver.stopped.length > 0) driver.hear(0);
      return driver;
    },
  ],
  [
    'launches-ahead',
    'a chain whose attempts are at their backend ahead of each other; the first is tried again, the last never began',
    (options) => {
      const driver = new Driver(
        closure({ tasks, nodes: [step('n0'), step('n1', undefined, ['n0']), step('n2', undefined, ['n1'])] }),
        {
          ...options,
          settings: { routing: nativeRouting },
          aborts: 'late',
        },
      );
      const submitted = (): void => {
        for (const id of driver.launchedIds())
          driver.report(driver.launchOf(id), Phase.INITIALIZING, { job: `job-${id}`, phaseVersion: driver.log.length });
      };
      for (let i = 0; i < 3; i++) submitted();
      driver.fail('n0', { retryable: true });
      while (driver.stopped.length > 0) driver.hear(0);
      for (let i = 0; i < 3; i++) submitted();
      if (options.behaviours === undefined) {
        driver.running('n1');
        driver.report(driver.launchOf('n2'), Phase.ABORTED, { upstreamFailed: true });
      }
      for (const id of ['n0', 'n1', 'n2']) driver.succeed(id, { o: int(1) });
      return driver;
    },
  ],
  ...controlShapes,
];

/** How many random runs there are, and what they are drawn from. */
const randomRuns = 24;
const randomSeed = 20_261_127;

/** All that this version records. Names are for ever: a changed scenario gets another one. */
export function historyScenarios(): HistoryScenario[] {
  const cases = fc.record({
    flow: flowArbitrary(),
    seed: fc.integer(),
    input: fc.nat({ max: 9 }),
    maxParallelism: fc.constantFrom(0, 1, 3),
  });
  const drawn = fc.sample(cases, { numRuns: randomRuns, seed: randomSeed });
  return [
    ...shapes.map(([name, description, run]) => ({ name, description, run: () => run({}) })),
    ...shapes.map(([name, description, run]) => ({
      name: `flags-0-${name}`,
      description: `${description}; as before there were behaviour flags`,
      run: () => run({ behaviours: 0n }),
    })),
    ...drawn.map(({ flow, seed, input, maxParallelism }, at) => ({
      name: `random-${String(at + 1).padStart(2, '0')}`,
      description: `random workflow ${at + 1} of seed ${randomSeed}${at % 4 === 3 ? ', aborted on its way' : ''}`,
      run: () => {
        const simulation = new Simulation(flow, seed, input, { driver: { settings: { maxParallelism } } });
        simulation.finish(at % 4 === 3 ? 6 : Infinity);
        if (at % 4 === 3) simulation.driver.abort();
        return simulation.driver;
      },
    })),
  ];
}
