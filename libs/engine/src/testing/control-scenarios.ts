import type { ControlNode } from '@aloft/idl/aloft/v1/bus';
import { RecoveredNode } from '@aloft/idl/aloft/v1/engine';
import {
  ExecutionError_ErrorKind as ErrorKind,
  TaskExecution_Phase as Phase,
  WorkflowExecution_Phase,
} from '@aloft/idl/flyteidl/core/execution';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import type { StartChild } from '../api.js';
import { parseRetryPolicy } from '../settings/retry-policy.js';
import { array, child, closure, INT, int, list, task } from './closures.js';
import { Driver, type DriverOptions } from './driver.js';

type Shape = [name: string, description: string, run: (options: DriverOptions) => Driver];
type Control = NonNullable<ControlNode['control']>;

const seconds = (value: number) => ({ seconds: BigInt(value), nanos: 0 });
const tasks = {
  free: { outputs: { o: INT }, metadata: { retries: { retries: 3 } } },
  t: { inputs: { a: INT }, outputs: { o: INT }, metadata: { retries: { retries: 3 } } },
  limited: { outputs: { o: INT }, metadata: { retries: { retries: 2 }, timeout: seconds(60) } },
  item: { inputs: { a: INT }, outputs: { o: INT }, metadata: { retries: { retries: 1 }, timeout: seconds(60) } },
  sum: { inputs: { a: list(INT) }, outputs: { o: INT } },
};
const cancel = (skipDownstream = false): Control => ({ $case: 'cancel', value: { skipDownstream } });
const retry: Control = { $case: 'retry', value: {} };
const set = (o: number): Control => ({ $case: 'setOutputs', value: { outputs: { literals: { o: int(o) } } } });
const rerun = (inputs?: Record<string, Literal>): Control => ({
  $case: 'rerun',
  value: { inputs: inputs && { literals: inputs }, task: undefined, overrides: undefined },
});
const policyOf = (text: string) => {
  const parsed = parseRetryPolicy(text);
  if ('problem' in parsed) throw new Error(parsed.problem);
  return parsed.policy;
};
const recoveredRun = { recoverFrom: { project: 'p', domain: 'd', name: 'old', org: '' }, recoverFromUid: 'old-uid' };
const recovered = (value: Partial<RecoveredNode>) => ({
  $case: 'recovered' as const,
  value: { ...RecoveredNode.create(), ...value },
});
const inline = (literals: Record<string, Literal>) => ({ value: { $case: 'inline' as const, value: { literals } } });
const listOf = (...items: Literal[]): Literal => ({
  value: { $case: 'collection', value: { literals: items } },
  hash: '',
  metadata: {},
});
const none: Literal = {
  value: { $case: 'scalar', value: { value: { $case: 'noneType', value: {} } } },
  hash: '',
  metadata: {},
};

/** Histories of what changes or ends a run from outside: aborts, node control, retry policies, time limits, recovery. */
export const controlShapes: readonly Shape[] = [
  [
    'abort-answers',
    'an abort that waits for two backends: one says that its task had succeeded, the other that it ended it',
    (options) => {
      const nodes = ['n0', 'n1', 'n2'].map((id) => task(id, 'free'));
      const driver = new Driver(closure({ tasks, nodes }), {
        ...options,
        aborts: 'unheard',
        settings: { maxParallelism: 2 },
      });
      const [first, second] = [driver.launchOf('n0'), driver.launchOf('n1')];
      driver.running('n0');
      driver.abort('not needed');
      driver.report(second, Phase.RUNNING);
      driver.succeedWith(first, inline({ o: int(1) }));
      driver.report(second, Phase.ABORTED, { reason: 'not needed' });
      return driver;
    },
  ],
  [
    'abort-unanswered',
    'an abort whose backend is silent: the run waits half a minute; what the backend says then is too late',
    (options) => {
      const driver = new Driver(
        closure({ tasks, nodes: [task('n0', 'free'), array('n1', task('i', 'item'), { a: [int(1), int(2)] })] }),
        {
          ...options,
          aborts: 'unheard',
        },
      );
      const launch = driver.launchOf('n0');
      driver.running('n1', 1);
      driver.abort();
      driver.advance(29);
      driver.advance(1);
      driver.report(launch, Phase.ABORTED);
      return driver;
    },
  ],
  [
    'node-control',
    'a node is retried, another gets its outputs by hand, a third runs again with other inputs; two controls are refused',
    (options) => {
      const nodes = [
        task('n0', 'free'),
        task('n1', 't', { a: 'n0.o' }),
        task('n2', 't', { a: 'n1.o' }),
        task('n3', 'free', {}, { after: ['n2'] }),
      ];
      const driver = new Driver(closure({ tasks, nodes, outputs: { r: 'n2.o' } }), options);
      driver.running('n0');
      driver.control('n0', retry);
      driver.succeed('n0', { o: int(1) });
      driver.control('n0', retry);
      driver.control('n1', set(5));
      driver.succeed('n2', { o: int(6) });
      driver.control('n1', rerun({ a: int(7) }));
      driver.control('n9', retry);
      driver.succeed('n1', { o: int(8) });
      driver.succeed('n2', { o: int(9) });
      driver.succeed('n3', { o: int(0) });
      return driver;
    },
  ],
  [
    'node-cancel',
    'a node is cancelled and what hangs on it skipped; a second cancel fails the run, where the rest goes on',
    (options) => {
      const nodes = [
        task('n0', 'free'),
        task('n1', 't', { a: 'n0.o' }),
        task('n2', 'free'),
        task('n3', 'free'),
        task('n4', 't', { a: 'n3.o' }),
      ];
      const driver = new Driver(closure({ tasks, nodes, outputs: { r: 'n4.o' }, failAfter: true }), options);
      driver.control('n0', cancel(true));
      driver.running('n2');
      driver.control('n2', cancel());
      driver.succeed('n3', { o: int(1) });
      driver.succeed('n4', { o: int(2) });
      return driver;
    },
  ],
  [
    'retry-policy',
    'waits that grow, a code that is never tried again though another was, more memory after it ran out',
    (options) => {
      const driver = new Driver(closure({ tasks, nodes: [task('n0', 'free'), task('n1', 'free')], failAfter: true }), {
        ...options,
        settings: {
          retryPolicy: policyOf('delay=10s factor=3 max=20s jitter=0.5 on=Flaky*,OOMKilled never=Bad memory=2'),
        },
      });
      driver.fail('n0', { code: 'FlakyNetwork' });
      driver.advance(20);
      driver.fail('n0', { code: 'OOMKilled', retryable: true });
      driver.advance(40);
      driver.fail('n1', { code: 'Bad', retryable: true, kind: ErrorKind.SYSTEM });
      driver.succeed('n0', { o: int(1) });
      return driver;
    },
  ],
  [
    'retry-policy-array',
    'items of a map that back off one by one, and one that is tried no more',
    (options) => {
      const node = array('n0', task('i', 'item'), { a: [int(1), int(2), int(3)] }, { minSuccesses: 2 });
      const driver = new Driver(closure({ tasks, nodes: [node], outputs: { r: 'n0.o' } }), {
        ...options,
        settings: { retryPolicy: policyOf('delay=5s jitter=0 never=Bad') },
      });
      driver.fail('n0', { index: 0, retryable: true });
      driver.fail('n0', { index: 1, retryable: true, code: 'Bad' });
      driver.advance(5);
      for (let next = driver.launched[0]; next; next = driver.launched[0])
        driver.succeed('n0', { o: int(next.attempt.index!) }, next.attempt.index);
      return driver;
    },
  ],
  [
    'time-limits',
    'an attempt over its time, one that no backend runs, and a node over its time of all attempts',
    (options) => {
      const driver = new Driver(
        closure({ tasks, nodes: [task('n0', 'limited'), task('n1', 'free')], failAfter: true }),
        {
          ...options,
          settings: { queueTimeout: seconds(30), activeTimeout: seconds(200) },
        },
      );
      driver.running('n1');
      driver.running('n0');
      driver.advance(60);
      driver.advance(30);
      driver.running('n0');
      driver.advance(60);
      driver.advance(60);
      return driver;
    },
  ],
  [
    'time-limit-items',
    'items of a map over their time, one of which its retry saves',
    (options) => {
      const node = array('n0', task('i', 'item'), { a: [int(1), int(2)] }, { minSuccesses: 1 });
      const driver = new Driver(closure({ tasks, nodes: [node], outputs: { r: 'n0.o' } }), options);
      driver.running('n0', 0);
      driver.running('n0', 1);
      driver.advance(60);
      driver.running('n0', 0);
      driver.succeed('n0', { o: int(1) }, 1);
      driver.advance(60);
      return driver;
    },
  ],
  [
    'time-limit-run',
    'a run over its time, with a task, a map and a child in flight',
    (options) => {
      const nodes = [task('n0', 'free'), array('n1', task('i', 'item'), { a: [int(1), int(2)] }), child('n2', 'p')];
      const driver = new Driver(closure({ tasks, nodes }), {
        ...options,
        settings: { executionTimeout: seconds(5), timeout: seconds(90) },
      });
      driver.running('n0');
      driver.running('n1', 0);
      driver.advance(90);
      return driver;
    },
  ],
  [
    'recovery-array',
    'a recovered map: two items are taken over, the one that failed runs again with its checkpoint',
    (options) => {
      const nodes = [array('n0', task('i', 'item'), { a: [int(1), int(2), int(3)] }), task('n1', 'sum', { a: 'n0.o' })];
      const driver = new Driver(closure({ tasks, nodes, outputs: { r: 'n1.o' } }), { ...options, start: recoveredRun });
      driver.answerNext(
        'recovered-node',
        recovered({
          recoveredItems: Buffer.of(0b101),
          outputs: inline({ o: listOf(int(10), none, int(30)) }),
          itemCheckpoints: { 1: 's3://old/item-1' },
        }),
      );
      driver.succeed('n0', { o: int(20) }, 1);
      driver.answerNext('recovered-node', recovered({}));
      driver.succeed('n1', { o: int(60) });
      return driver;
    },
  ],
  [
    'recovery-child',
    'a recovered child execution goes on where the old one failed',
    (options) => {
      const driver = new Driver(closure({ tasks, nodes: [child('n0', 'p')] }), { ...options, start: recoveredRun });
      driver.answerNext('recovered-node', recovered({ childName: 'old-child', childUid: 'old-child-uid' }));
      const ask = [...driver.requests.values()].find((one): one is StartChild => one.kind === 'start-child')!;
      driver.answerNext('start-child', {
        $case: 'child',
        value: { child: driver.childId(ask), childUid: `uid-${ask.name}` },
      });
      driver.childEnded(ask, WorkflowExecution_Phase.SUCCEEDED);
      return driver;
    },
  ],
];
