import { RetryPolicy } from '@aloft/idl/aloft/v1/bus';
import { parseDuration } from './duration-text.js';

/** Spread of waits that nobody set: enough that what failed together doesn't come back together. */
const defaultJitter = 0.1;

const form =
  'write e.g. "delay=10s factor=2 max=5m jitter=0.1 on=OOMKilled,Timeout* never=BadInput memory=2 attempts=4", ' +
  'each part optional';

/** A retry policy as people write it (C-36), or what is wrong with it. */
export function parseRetryPolicy(text: string): { policy: RetryPolicy } | { problem: string } {
  const policy = RetryPolicy.create({ factor: 1, memoryFactor: 1 });
  let jitter: number | undefined;
  for (const part of text.split(/[\s;]+/).filter(Boolean)) {
    const [, key = '', value = ''] = /^([a-z]+)=(.+)$/.exec(part) ?? [];
    const number = /^\d+(\.\d+)?$/.test(value) ? Number(value) : NaN;
    const problem = (wanted: string) => ({ problem: `retry policy: "${part}" ${wanted}; ${form}` });
    switch (key) {
      case 'delay':
      case 'max': {
        const duration = parseDuration(value);
        if (!duration) return problem('gives no time span');
        if (key === 'delay') policy.delay = duration;
        else policy.maxDelay = duration;
        break;
      }
      case 'factor':
      case 'memory':
        if (!(number >= 1 && number <= 100)) return problem('must give a number from 1 to 100');
        if (key === 'factor') policy.factor = number;
        else policy.memoryFactor = number;
        break;
      case 'jitter':
        if (!(number <= 1)) return problem('must give a number from 0 to 1');
        jitter = number;
        break;
      case 'on':
      case 'never': {
        const codes = value.split(',').filter(Boolean);
        if (key === 'on') policy.on = codes;
        else policy.never = codes;
        break;
      }
      case 'attempts':
        if (!(Number.isInteger(number) && number >= 1 && number <= 255)) return problem('must give 1 to 255 attempts');
        policy.attempts = number;
        break;
      default:
        return problem('is no part of one');
    }
  }
  policy.jitter = jitter ?? (policy.delay ? defaultJitter : 0);
  return { policy };
}
