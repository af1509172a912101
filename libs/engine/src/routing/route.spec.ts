import { PluginOverride_MissingPluginBehavior as Missing } from '@aloft/idl/flyteidl/admin/matchable_resource';
import { Route_By as By, Routing, type RoutingConditions } from '@aloft/idl/aloft/v1/routing';
import type { AttemptFacts } from './conditions.js';
import { routeOf, sentenceOf } from './route.js';

const attempt: AttemptFacts = {
  taskType: 'python-task',
  task: 'core.train',
  workflow: 'core.pipeline',
  project: 'fraud',
  domain: 'production',
  labels: { team: 'risk' },
  interruptible: false,
  asks: { cpu: 500n, memory: 2n ** 30n, gpu: 1n },
};

type When = Parameters<typeof RoutingConditions.fromPartial>[0];

function decided(when: When, facts: Partial<AttemptFacts> = {}): boolean {
  const routing = Routing.fromPartial({
    rules: [{ name: 'r', when, then: { backend: 'there' } }],
    defaultBackend: 'local',
  });
  return routeOf(routing, { ...attempt, ...facts }, []).backend === 'there';
}

describe('the conditions of a rule (U-23)', () => {
  it.each<[string, When, boolean]>([
    ['none', {}, true],
    ['the type', { taskTypes: ['python-task'] }, true],
    ['one of several types', { taskTypes: ['spark', 'python*'] }, true],
    ['another type', { taskTypes: ['spark'] }, false],
    ['a part of the task', { tasks: ['*.train'] }, true],
    ['another task', { tasks: ['*.eval'] }, false],
    ['the workflow', { workflows: ['core.*'] }, true],
    ['project and domain', { projects: ['fraud'], domains: ['prod*'] }, true],
    ['the project, but another domain', { projects: ['fraud'], domains: ['staging'] }, false],
    ['a label', { labels: { team: 'r*' } }, true],
    ['a label that is not there', { labels: { cost: '*' } }, false],
    ['not interruptible', { interruptible: false }, true],
    ['interruptible', { interruptible: true }, false],
    ['half a core at least', { cpu: { atLeast: 500n } }, true],
    ['more than it asks for', { cpu: { atLeast: 501n } }, false],
    ['at most what it asks for', { memory: { atMost: 2n ** 30n } }, true],
    ['at most less', { memory: { atMost: 2n ** 30n - 1n } }, false],
    ['a gpu', { gpu: { atLeast: 1n, atMost: 1n } }, true],
    ['none of them', { gpu: { atMost: 0n } }, false],
  ])('%s', (_, when, expected) => {
    expect(decided(when)).toBe(expected);
  });

  it('who asks for nothing asks for 0', () => {
    const asks = { cpu: 0n, memory: 0n, gpu: 0n };
    expect(decided({ gpu: { atMost: 0n } }, { asks })).toBe(true);
    expect(decided({ cpu: { atLeast: 1n } }, { asks })).toBe(false);
  });
});

describe('where an attempt goes (U-23, A-94)', () => {
  const routing = Routing.fromPartial({
    rules: [
      { name: 'gpus', when: { gpu: { atLeast: 1n } }, then: { backend: 'kubernetes', clusterLabel: 'gpu' } },
      { name: 'risk', when: { labels: { team: 'risk' } }, then: { backend: 'aws-batch', queue: 'risk' } },
    ],
    byTaskType: { spark: 'spark', snowflake: 'local' },
    byPlugin: { 'my-spark': 'spark' },
    discovered: { snowflake: 'connector', bigquery: 'connector' },
    backends: ['local', 'spark', 'kubernetes', 'aws-batch', 'connector'],
    defaultBackend: 'local',
    waits: true,
  });
  const plain: Partial<AttemptFacts> = { labels: {}, asks: { cpu: 0n, memory: 0n, gpu: 0n } };
  const to = (facts: Partial<AttemptFacts>, pluginId: string[] = [], missingPluginBehavior = Missing.FAIL) => {
    const taskType = facts.taskType ?? attempt.taskType;
    return routeOf(routing, { ...attempt, ...facts }, [{ taskType, pluginId, missingPluginBehavior }]);
  };

  it('the first rule that holds decides, above any override, and says why', () => {
    const route = to({}, ['spark']);
    expect(route).toMatchObject({ backend: 'kubernetes', by: By.RULE, rule: 'gpus', because: 'gpu 1', waits: true });
    expect(route.choice).toMatchObject({ clusterLabel: 'gpu' });
    expect(sentenceOf(route)).toBe('Goes to kubernetes by rule gpus (gpu 1).');
    expect(to({ ...plain, labels: { team: 'risk' } })).toMatchObject({ rule: 'risk', because: 'label team=risk' });
  });

  it('then the override of its type, then its type, then who found it to be its own, then the default', () => {
    const override = to(plain, ['unheard-of', 'my-spark']);
    expect(override).toMatchObject({ backend: 'spark', by: By.PLUGIN_OVERRIDE });
    expect(sentenceOf(override)).toBe('Goes to spark by PLUGIN_OVERRIDE of task type python-task: plugin my-spark.');
    expect(to({ ...plain, taskType: 'spark' })).toMatchObject({ backend: 'spark', by: By.TASK_TYPE });
    expect(to({ ...plain, taskType: 'snowflake' })).toMatchObject({ backend: 'local', by: By.TASK_TYPE });
    expect(to({ ...plain, taskType: 'bigquery' })).toMatchObject({ backend: 'connector', by: By.DISCOVERED });
    expect(to(plain)).toMatchObject({ backend: 'local', by: By.DEFAULT });
    expect(sentenceOf(to(plain))).toBe('');
  });

  it('an override of plugins that are not here is passed over, or refused, as it says', () => {
    expect(to(plain, ['unheard-of'], Missing.USE_DEFAULT)).toMatchObject({ backend: 'local', by: By.DEFAULT });
    expect(() => to(plain, ['unheard-of'])).toThrow(
      /"unheard-of", none of which is a plugin here \(there are: my-spark/,
    );
  });
});
