import { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { parseDuration } from './duration-text.js';
import { parseRetryPolicy } from './retry-policy.js';
import { policyKeys, taskPolicyOf } from './task-policy.js';

const seconds = (value: number) => ({ seconds: BigInt(Math.floor(value)), nanos: Math.round((value % 1) * 1e9) });

describe('settings as people write them', () => {
  it('time spans', () => {
    expect(parseDuration('90')).toEqual(seconds(90));
    expect(parseDuration('1m30s')).toEqual(seconds(90));
    expect(parseDuration(' 500ms ')).toEqual(seconds(0.5));
    expect(parseDuration('1.5h')).toEqual(seconds(5400));
    expect(parseDuration('2d')).toEqual(seconds(172_800));
    expect(parseDuration('0')).toEqual(seconds(0));
    for (const text of ['', 'soon', '-3s', '3 s', '1s1', '9999999999999d']) expect(parseDuration(text)).toBeUndefined();
  });

  it('C-36: retry policies', () => {
    const text = 'delay=10s factor=2 max=5m jitter=0.2 on=OOMKilled,Time* never=Bad; memory=1.5 attempts=4';
    expect(parseRetryPolicy(text)).toMatchObject({
      policy: {
        delay: seconds(10),
        factor: 2,
        maxDelay: seconds(300),
        jitter: 0.2,
        on: ['OOMKilled', 'Time*'],
        never: ['Bad'],
        memoryFactor: 1.5,
        attempts: 4,
      },
    });
    expect(parseRetryPolicy('delay=1s')).toMatchObject({ policy: { jitter: 0.1, factor: 1, memoryFactor: 1 } });
    expect(parseRetryPolicy('memory=2')).toMatchObject({ policy: { jitter: 0, delay: undefined } });
  });

  it('C-36: a policy that cannot be right is refused with its part and what would be', () => {
    for (const part of [
      'delay=soon',
      'factor=0',
      'memory=many',
      'jitter=2',
      'attempts=0',
      'attempts=1.5',
      'never=',
      'x',
    ]) {
      expect(parseRetryPolicy(`max=5m ${part}`)).toEqual({
        problem: expect.stringMatching(new RegExp(`"${part}".*write e\\.g\\.`)),
      });
    }
  });

  it('a task’s template carries them wherever stock clients can write', () => {
    const policy = (partial: Parameters<typeof TaskTemplate.fromPartial>[0]) =>
      taskPolicyOf(TaskTemplate.fromPartial(partial));
    const retry = { retry: expect.objectContaining({ attempts: 3 }) };
    expect(policy({ config: { 'aloft.retry': 'attempts=3' } })).toMatchObject(retry);
    expect(policy({ custom: { 'aloft.retry': 'attempts=3' } })).toMatchObject(retry);
    expect(policy({ metadata: { tags: { 'aloft.retry': 'attempts=3' } } })).toMatchObject(retry);
    const annotations = { [policyKeys.queueTimeout]: '90s', [policyKeys.activeTimeout]: '1h' };
    expect(policy({ target: { $case: 'k8sPod', value: { metadata: { annotations } } } })).toEqual({
      queueTimeout: seconds(90),
      activeTimeout: seconds(3600),
    });
    const env = [
      { key: 'ALOFT_RETRY', value: 'attempts=3' },
      { key: 'ALOFT_QUEUE_TIMEOUT', value: '5m' },
    ];
    expect(policy({ target: { $case: 'container', value: { env } } })).toMatchObject({
      ...retry,
      queueTimeout: seconds(300),
    });
    expect(policy({})).toEqual({});
    expect(policy({ config: { 'aloft.queue-timeout': 'later' } }).problem).toContain('"later" is no time span');
  });
});
