import { matchesPattern } from '@aloft/engine';
import type { AmountRange, RoutingConditions } from '@aloft/idl/aloft/v1/routing';

const lists = ['taskTypes', 'tasks', 'workflows', 'projects', 'domains'] as const;
const amounts = ['cpu', 'memory', 'gpu'] as const;

/** Whether every attempt that a rule is for is one that the other is for, too. False where that takes more than comparing condition by condition. */
export function coveredBy(rule: RoutingConditions, other: RoutingConditions): boolean {
  return (
    lists.every((list) => listCovered(rule[list], other[list])) &&
    Object.entries(other.labels).every(([key, pattern]) => {
      const own = rule.labels[key];
      return own !== undefined && matchesPattern(pattern, own);
    }) &&
    (other.interruptible === undefined || other.interruptible === rule.interruptible) &&
    amounts.every((name) => isWithin(rule[name], other[name]))
  );
}

/** A pattern taken as a text: only a `*` can match its `*`, so that what the other pattern matches is all that this one does. */
function listCovered(own: readonly string[], others: readonly string[]): boolean {
  if (others.length === 0) return true;
  const mine = own.length > 0 ? own : ['*'];
  return mine.every((pattern) => others.some((other) => matchesPattern(other, pattern)));
}

function isWithin(own: AmountRange | undefined, other: AmountRange | undefined): boolean {
  if (!other) return true;
  const least = own?.atLeast ?? 0n;
  const most = own?.atMost;
  return (other.atLeast ?? 0n) <= least && (other.atMost === undefined || (most !== undefined && most <= other.atMost));
}
