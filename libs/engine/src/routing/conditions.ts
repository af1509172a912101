import type { AmountRange, RoutingConditions } from '@aloft/idl/aloft/v1/routing';
import type { Amounts } from './amounts.js';
import { matchesPattern } from './pattern.js';

/** What rules may ask of an attempt. */
export interface AttemptFacts {
  taskType: string;
  task: string;
  workflow: string;
  project: string;
  domain: string;
  /** Of its run. */
  labels: Readonly<Record<string, string>>;
  interruptible: boolean;
  asks: Amounts;
}

/** Texts that a list of patterns is for. */
const texts = [
  ['taskTypes', 'task type', 'taskType'],
  ['tasks', 'task', 'task'],
  ['workflows', 'workflow', 'workflow'],
  ['projects', 'project', 'project'],
  ['domains', 'domain', 'domain'],
] as const;

const amounts = ['cpu', 'memory', 'gpu'] as const;

/** Whether all conditions hold. */
export function holds(when: RoutingConditions | undefined, facts: AttemptFacts): boolean {
  if (!when) return true;
  for (const [list, , fact] of texts) {
    const patterns = when[list];
    if (patterns.length > 0 && !patterns.some((pattern) => matchesPattern(pattern, facts[fact]))) return false;
  }
  for (const [key, pattern] of Object.entries(when.labels)) {
    const value = facts.labels[key];
    if (value === undefined || !matchesPattern(pattern, value)) return false;
  }
  if (when.interruptible !== undefined && when.interruptible !== facts.interruptible) return false;
  return amounts.every((name) => isWithin(when[name], facts.asks[name]));
}

function isWithin(range: AmountRange | undefined, amount: bigint): boolean {
  if (!range) return true;
  return (range.atLeast ?? 0n) <= amount && (range.atMost === undefined || amount <= range.atMost);
}

/** The conditions that hold, and what of the attempt they hold of, for people. */
export function whyItHolds(when: RoutingConditions | undefined, facts: AttemptFacts): string {
  if (!when) return 'every attempt';
  const held: string[] = [];
  for (const [list, words, fact] of texts) if (when[list].length > 0) held.push(`${words} ${facts[fact]}`);
  for (const key of Object.keys(when.labels)) held.push(`label ${key}=${facts.labels[key]}`);
  if (when.interruptible !== undefined) held.push(facts.interruptible ? 'interruptible' : 'not interruptible');
  if (when.cpu) held.push(`cpu ${Number(facts.asks.cpu) / 1000}`);
  if (when.memory) held.push(`memory ${bytes(facts.asks.memory)}`);
  if (when.gpu) held.push(`gpu ${facts.asks.gpu}`);
  return held.length > 0 ? held.join(', ') : 'every attempt';
}

function bytes(amount: bigint): string {
  for (const [unit, size] of [
    ['Gi', 2n ** 30n],
    ['Mi', 2n ** 20n],
    ['Ki', 2n ** 10n],
  ] as const)
    if (amount >= size && amount % size === 0n) return `${amount / size}${unit}`;
  return String(amount);
}
