import type { Mark } from '../evidence/evidence.js';
import type { Start } from './starts.js';

export interface Violation {
  rule:
    | 'stuck'
    | 'wrong result'
    | 'terminal once'
    | 'started after durable'
    | 'extra start'
    | 'never ran'
    | 'ran unasked'
    | 'two at once'
    | 'left behind'
    | 'read model'
    | 'catalog'
    | 'client'
    | 'incident';
  run?: string;
  text: string;
}

export const stepKey = ({ step, index }: Pick<Mark, 'step' | 'index'>): string =>
  index === undefined ? step : `${step}[${index}]`;

export function describe({ mark, end }: Start): string {
  const how = end ? `${end.outcome} after ${end.at - mark.at} ms` : 'no end';
  return `attempt ${mark.attempt} (${mark.attemptId}, process ${mark.process}) at ${mark.at}, ${how}`;
}
