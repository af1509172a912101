import { integerType, launchOf } from '@aloft/backend-kit/testing';
import type { Running } from './fake-batch.js';
import { readRanges } from '../arrays/item-ranges.js';
import { itemsVariable } from '../arrays/item-template.js';

export interface ItemOptions {
  index: number;
  size: number;
  execution?: string;
  /** Attempt of the item. */
  retry?: number;
  args?: (outputPrefix: string, rawPrefix: string, checkpoints: string) => string[];
  previous?: string;
  generation?: number;
}

/** An item's launch with the places that the engine gives it. */
export function itemLaunch({
  index,
  size,
  execution = 'run1',
  retry = 0,
  args,
  previous = '',
  generation = 1,
}: ItemOptions) {
  const name = `${execution}-n0-0-n${index}-${retry}`;
  const outputPrefix = `s3://aloft/metadata/propeller/flytesnacks-development-${execution}/n0/data/0/${index}/${retry}`;
  const rawOutputPrefix = `s3://aloft/data/${String((index * 7) % 36).padStart(2, 'x')}/${name}-uid-${execution}`.slice(
    0,
    120,
  );
  const checkpointPrefix = `${rawOutputPrefix}/_flytecheckpoints`;
  const launch = launchOf({
    name,
    execution,
    index,
    generation,
    outputs: { x: integerType },
    args: args?.(outputPrefix, rawOutputPrefix, checkpointPrefix) ?? ['write', outputPrefix],
    env: { BATCH_JOB_ARRAY_INDEX_VAR_NAME: 'FLYTE_K8S_ARRAY_INDEX', FLYTE_K8S_ARRAY_INDEX: String(index) },
  });
  return {
    ...launch,
    attempt: { ...launch.attempt, nodeId: 'n0', retryAttempt: retry },
    inputsUri: `s3://aloft/metadata/propeller/flytesnacks-development-${execution}/n0/data/inputs.pb`,
    outputPrefix,
    rawOutputPrefix,
    checkpointPrefix,
    prevCheckpointPrefix: previous,
    arraySize: size,
  };
}

/** What a container of an array job would run after its shell, without the shell: for arrays of thousands. */
export function commandOf({ command, environment, index }: Running): { words: string[]; item: number | undefined } {
  if (index === undefined) return { words: [...command], item: undefined };
  const items = environment[itemsVariable] ?? '';
  const item = rangesOf(items)[index];
  const last = command[2]?.split('\n').at(-1) ?? '';
  const words = last
    .replace(/^exec '/, '')
    .replace(/'$/, '')
    .split("' '")
    .map((word) =>
      word.replaceAll(`'"$i"'`, String(item)).replaceAll(`'"$s"'`, String((item ?? 0) % 100).padStart(2, '0')),
    );
  return { words, item };
}

const read = new Map<string, number[]>();

/** The ranges of an array's ten thousand children are the same. */
function rangesOf(items: string): number[] {
  let indices = read.get(items);
  if (!indices) {
    if (read.size > 16) read.clear();
    read.set(items, (indices = readRanges(items)));
  }
  return indices;
}
