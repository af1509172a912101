import { parseDuration, parseRetryPolicy, policyKeys } from '@aloft/engine';
import { invalidArgument } from '@aloft/errors';
import { ArrayParallelism, type ExecutionSettings, type RetryPolicy } from '@aloft/idl/aloft/v1/bus';
import type { Duration } from '@aloft/idl/google/protobuf/duration';
import type { AdminConfig } from '../config.js';

type Texts = { values: Readonly<Record<string, string>> } | undefined;

/** Something with labels and annotations: a request, a launch plan, an attribute. */
export interface PolicyLevel {
  labels?: Texts;
  annotations?: Texts;
}

/** The part of a run's settings that flyteidl has no fields for. */
export type RunPolicies = Pick<
  ExecutionSettings,
  | 'retryPolicy'
  | 'timeout'
  | 'executionTimeout'
  | 'activeTimeout'
  | 'queueTimeout'
  | 'arrayParallelism'
  | 'ignoreRetryCause'
  | 'interruptibleFailureThreshold'
>;

type Key = keyof typeof policyKeys;

const modes: Record<AdminConfig['executions']['arrayParallelism'], ArrayParallelism> = {
  unlimited: ArrayParallelism.UNLIMITED,
  workflow: ArrayParallelism.WORKFLOW,
  hybrid: ArrayParallelism.HYBRID,
};

/**
 * Retry policy and time limits (C-36, C-50…C-54), each from the first level that has an annotation or label for it, then from the
 * server's configuration. INVALID_ARGUMENT for what can't be understood, wherever it stands.
 */
export function policiesOf(levels: readonly PolicyLevel[], { executions: server }: AdminConfig): RunPolicies {
  const find = (key: Key): string => levels.map((level) => textOf(level, key)).find((text) => text !== undefined) ?? '';
  const limit = (key: Exclude<Key, 'retry'>): Duration | undefined => durationOf(find(key) || server[key], key);
  return {
    retryPolicy: policyOf(find('retry') || server.retry),
    timeout: limit('timeout'),
    executionTimeout: limit('executionTimeout'),
    activeTimeout: limit('activeTimeout'),
    queueTimeout: limit('queueTimeout'),
    arrayParallelism: modes[server.arrayParallelism],
    ignoreRetryCause: server.ignoreRetryCause,
    interruptibleFailureThreshold: server.interruptibleFailureThreshold,
  };
}

/** Refuses what no run could understand, where it is written: launch plans and attributes are judged before anything runs. */
export function requirePolicies(level: PolicyLevel, where: string): void {
  for (const key of Object.keys(policyKeys) as Key[]) {
    const text = textOf(level, key);
    if (text === undefined) continue;
    if (key === 'retry') policyOf(text, where);
    else durationOf(text, key, where);
  }
}

function textOf({ annotations, labels }: PolicyLevel, key: Key): string | undefined {
  return annotations?.values[policyKeys[key]] ?? labels?.values[policyKeys[key]];
}

function policyOf(text: string, where = ''): RetryPolicy | undefined {
  if (text === '') return undefined;
  const parsed = parseRetryPolicy(text);
  if ('problem' in parsed) throw invalidArgument(`${prefix(where)}${policyKeys.retry}: ${parsed.problem}`);
  return parsed.policy;
}

function durationOf(text: string, key: Key, where = ''): Duration | undefined {
  if (text === '') return undefined;
  const duration = parseDuration(text);
  if (!duration)
    throw invalidArgument(
      `${prefix(where)}${policyKeys[key]}: "${text}" is no time span; write e.g. 90s, 15m or 1h30m, or 0 for none`,
    );
  return duration;
}

const prefix = (where: string): string => (where === '' ? 'annotation ' : `${where}: annotation `);
