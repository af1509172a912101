import { describe, expect, it } from '@jest/globals';
import { propellerServiceConfig } from '../service-config.js';
import { routingRules, rulesOf } from './routing-config.js';
import { checkBackends, currentRouting } from './routing.js';
import { propellerConfigSchema } from '../config.js';
import { z } from 'zod';

/** `path: message` of each mistake. */
function mistakes(rules: unknown): string[] {
  const parsed = routingRules.safeParse(rules);
  return (parsed.error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);
}

describe('rules of the configuration (U-23)', () => {
  it('become what runs carry', () => {
    const rules = routingRules.parse([
      {
        name: 'gpus',
        when: { taskType: 'python-task', gpu: { atLeast: 1 } },
        backend: 'kubernetes',
        clusterLabel: 'gpu',
      },
      {
        when: { task: ['a.*', 'b'], cpu: { atMost: '1500m' }, memory: { atLeast: '2Gi' } },
        backend: 'aws-batch',
        queue: 'q',
      },
      { backend: 'local', iamRole: 'arn:aws:iam::1:role/x', serviceAccount: 'runner', podTemplate: 'large' },
    ]);
    expect(rulesOf(rules)).toMatchObject([
      {
        name: 'gpus',
        when: { taskTypes: ['python-task'], gpu: { atLeast: 1n } },
        then: { backend: 'kubernetes', clusterLabel: 'gpu', queue: '' },
      },
      {
        name: '#2',
        when: { tasks: ['a.*', 'b'], cpu: { atMost: 1500n }, memory: { atLeast: 2n ** 31n } },
        then: { queue: 'q' },
      },
      {
        name: '#3',
        when: { taskTypes: [], labels: {} },
        then: { iamRole: 'arn:aws:iam::1:role/x', serviceAccount: 'runner', podTemplate: 'large' },
      },
    ]);
  });

  it.each<[string, unknown, RegExp]>([
    ['an unknown key', { backend: 'local', priority: 1 }, /^0: Unrecognized key: "priority"/],
    ['an unknown condition', { backend: 'local', when: { image: 'x' } }, /^0\.when: Unrecognized key: "image"/],
    [
      'a pod template that can be none',
      { backend: 'local', podTemplate: 'My template' },
      /^0\.podTemplate: is no name of a pod template/,
    ],
    ['no backend', { when: { project: 'a' } }, /^0\.backend: /],
    ['an empty list', { backend: 'local', when: { project: [] } }, /^0\.when\.project: /],
    [
      'a quantity that is none',
      { backend: 'local', when: { cpu: { atLeast: 'much' } } },
      /^0\.when\.cpu\.atLeast: .*not a quantity/,
    ],
    ['a range without ends', { backend: 'local', when: { gpu: {} } }, /^0\.when\.gpu: says neither/],
    [
      'an empty range',
      { backend: 'local', when: { memory: { atLeast: '2Gi', atMost: '1Gi' } } },
      /^0\.when\.memory: can never hold/,
    ],
  ])('%s is refused', (_, rule, expected) => {
    expect(mistakes([rule])).toEqual([expect.stringMatching(expected)]);
  });

  it.each<[string, unknown, unknown, boolean]>([
    ['anything', {}, { project: 'a' }, true],
    ['the same', { project: 'a' }, { project: 'a' }, true],
    ['more of the same', { project: ['a', 'b'] }, { project: 'a', domain: 'd' }, true],
    ['a wider pattern', { task: 'team-*' }, { task: ['team-a.*', 'team-b'] }, true],
    ['a narrower pattern', { task: 'team-a.*' }, { task: 'team-*' }, false],
    ['only some of its', { project: 'a' }, { project: ['a', 'b'] }, false],
    ['a condition that it lacks', { project: 'a', interruptible: true }, { project: 'a' }, false],
    ['every text', { task: '*' }, {}, true],
    ['a label of any value', { labels: { team: '*' } }, { labels: { team: 'x' } }, true],
    ['a label that it lacks', { labels: { team: '*' } }, {}, false],
    ['a wider range', { cpu: { atLeast: 1 } }, { cpu: { atLeast: 2, atMost: 4 } }, true],
    ['a narrower range', { cpu: { atLeast: 2 } }, { cpu: { atLeast: 1 } }, false],
    ['an end that it lacks', { cpu: { atMost: 8 } }, { cpu: { atLeast: 1 } }, false],
  ])('one that can never decide is refused: %s above it', (_, above, below, refused) => {
    const found = mistakes([
      { name: 'above', when: above, backend: 'local' },
      { when: below, backend: 'local' },
    ]);
    expect(found).toEqual(refused ? [expect.stringMatching(/^1: can never decide: .* rule above above it takes/)] : []);
  });

  it('two of one name are refused', () => {
    const named = (project: string) => ({ name: 'x', when: { project }, backend: 'local' });
    expect(mistakes([named('a'), named('b')])).toEqual(['1.name: "x" is there twice']);
  });

  it('backends that are not there are refused, wherever they are named', () => {
    const named = { default: 'x', byTaskType: { spark: 'y' }, byPlugin: { p: 'z' }, rules: [{ backend: 'w' }] };
    const backends = { ...named, nativeDependencies: ['local', 'v'] };
    const schema = z.object({ propeller: propellerConfigSchema }).superRefine((config, context) => {
      checkBackends(config.propeller, config.propeller.backends.known, context);
    });
    const issues = schema.safeParse({ propeller: { backends } }).error?.issues ?? [];
    expect(issues.map(({ path, message }) => `${path.join('.')}: ${message}`)).toEqual([
      'propeller.backends.default: there is no backend "x"; there are: local',
      'propeller.backends.byTaskType.spark: there is no backend "y"; there are: local',
      'propeller.backends.byPlugin.p: there is no backend "z"; there are: local',
      'propeller.backends.rules.0.backend: there is no backend "w"; there are: local',
      'propeller.backends.nativeDependencies.1: there is no backend "v"; there are: local',
    ]);
    expect(propellerServiceConfig.shape.propeller.safeParse({ backends: {} }).success).toBe(true);
  });

  it('what a run is given is what is configured and found out when it begins', () => {
    let discovered = {};
    const config = propellerConfigSchema.parse({ backends: { unplaceable: 'wait' } });
    const now = currentRouting(config, { discovered: () => discovered, names: () => ['local'] });
    expect(now()).toMatchObject({ defaultBackend: 'local', backends: ['local'], waits: true, discovered: {} });
    discovered = { bigquery: 'connector' };
    expect(now()).toMatchObject({ discovered, nativeDependencies: [] });
    const chained = propellerConfigSchema.parse({ backends: { nativeDependencies: ['local'] } });
    expect(currentRouting(chained)()).toMatchObject({ nativeDependencies: ['local'] });
  });
});
