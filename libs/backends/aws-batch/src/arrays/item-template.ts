import type { Launch } from '@aloft/backend-kit';
import type { Overrides } from '../jobs/overrides.js';

/** Stand for the item's index, and for its last two digits, in texts that all items of an array have in common. */
const indexMark = '\u0001';
const shardMark = '\u0002';

/** Names of variables that differ from item to item, and are not worth a job of its own. */
const ofOneItem = new Set(['FLYTE_K8S_ARRAY_INDEX', 'TRACEPARENT', 'TRACESTATE']);

/** Variables by which an array job is known again: node, retry and generation of its items; which items it has. */
export const arrayVariable = 'ALOFT_ARRAY';
export const itemsVariable = 'ALOFT_ITEMS';

/**
 * An item's launch as it runs in an array job. Its raw outputs lie where all items can work it out from their index: `<root>/<index mod 100>/…`
 * instead of under a hash of its name (C-101). `undefined` where the layout of the launch is not the engine's: such an item is a job of its own.
 */
export function asArrayItem(launch: Launch): Launch | undefined {
  const place = placeOf(launch);
  if (!place) return undefined;
  const { rawOutputPrefix, checkpointPrefix } = launch;
  const raw = rawOf(place, String(place.index), shardOf(place.index));
  if (!checkpointPrefix.startsWith(rawOutputPrefix)) return undefined;
  const moved = (text: string) => text.replaceAll(rawOutputPrefix, raw);
  const target = launch.template?.target;
  if (!launch.template || target?.$case !== 'container') return undefined;
  const container = {
    ...target.value,
    command: target.value.command.map(moved),
    args: target.value.args.map(moved),
    env: target.value.env.map(({ key, value }) => ({ key, value: moved(value) })),
  };
  return {
    ...launch,
    template: { ...launch.template, target: { $case: 'container', value: container } },
    env: launch.env.map(({ key, value }) => ({ key, value: moved(value) })),
    rawOutputPrefix: raw,
    checkpointPrefix: moved(checkpointPrefix),
  };
}

/** Command and environment of an item as all items of its array have them, with marks for what comes from the index. */
export function itemTemplate(launch: Launch, overrides: Overrides): Overrides {
  const place = placeOf(launch);
  if (!place) return overrides;
  const marked = (text: string) => {
    let result = text
      .replaceAll(`${place.folder}/${place.index}/`, `${place.folder}/${indexMark}/`)
      .replaceAll(rawOf(place, String(place.index), shardOf(place.index)), rawOf(place, indexMark, shardMark));
    // Checkpoints of an earlier attempt of the same item.
    const earlier = new RegExp(`/${shardOf(place.index)}/(${escaped(nameOf(place))})/n${place.index}-(\\d+)/`, 'g');
    result = result.replace(earlier, `/${shardMark}/$1/n${indexMark}-$2/`);
    return result;
  };
  return {
    command: overrides.command.map(marked),
    environment: overrides.environment
      .filter(({ name }) => !ofOneItem.has(name))
      .map(({ name, value }) => ({ name, value: marked(value) })),
  };
}

/**
 * What an array job runs: a shell finds the item's index in {@link itemsVariable} by AWS_BATCH_JOB_ARRAY_INDEX, and becomes the item's own command.
 */
export function arrayOverrides(template: Overrides, items: string, of: string): Overrides {
  const plain = template.environment.filter(({ value }) => !hasMark(value));
  const exports = template.environment
    .filter(({ value }) => hasMark(value))
    .map(({ name, value }) => `export ${name}=${shellWord(value)}`);
  const script = [
    'k=${AWS_BATCH_JOB_ARRAY_INDEX:?}',
    `for r in $${itemsVariable}; do a=\${r%-*}; n=$((\${r#*-}-a+1)); if [ $k -lt $n ]; then i=$((a+k)); break; fi; k=$((k-n)); done`,
    'export FLYTE_K8S_ARRAY_INDEX=${i:?}',
    's=$((i%100)); [ $s -gt 9 ] || s=0$s',
    ...exports,
    `exec ${template.command.map(shellWord).join(' ')}`,
  ].join('\n');
  return {
    command: ['/bin/sh', '-c', script],
    environment: [...plain, { name: arrayVariable, value: of }, { name: itemsVariable, value: items }],
  };
}

/** {@link arrayVariable} of an attempt. */
export const arrayOf = ({ attempt: { nodeId, retryAttempt, generation } }: Pick<Launch, 'attempt'>): string =>
  `${nodeId}/${retryAttempt}/${generation}`;

/** The folder above those of all items of a node's attempt, and the item's own below it: `<index>/<item attempt>`. */
export function folderOfItem({ outputPrefix }: Pick<Launch, 'outputPrefix'>): { folder: string; item: string } {
  const at = outputPrefix.lastIndexOf('/', outputPrefix.lastIndexOf('/') - 1);
  return { folder: outputPrefix.slice(0, at), item: outputPrefix.slice(at + 1) };
}

interface Place {
  index: number;
  itemAttempt: string;
  /** `…/data/<attempt of the node>`. */
  folder: string;
  nodeAttempt: string;
  rawRoot: string;
  run: string;
  nodeId: string;
}

function placeOf({ attempt, outputPrefix, rawOutputPrefix }: Launch): Place | undefined {
  const output = /^(.*\/(\d+))\/(\d+)\/(\d+)$/.exec(outputPrefix);
  const raw = /^(.+)\/[^/]{2}\/(?:[^/]+|[^/]+\/n\d+-\d+)$/.exec(rawOutputPrefix);
  const { index, execution, executionUid, nodeId } = attempt;
  if (!output || !raw || index === undefined || output[3] !== String(index)) return undefined;
  return {
    index,
    itemAttempt: output[4] as string,
    folder: output[1] as string,
    nodeAttempt: output[2] as string,
    rawRoot: raw[1] as string,
    run: `${execution?.name}-${executionUid.slice(0, 8)}`,
    nodeId,
  };
}

const nameOf = ({ run, nodeId, nodeAttempt }: Place): string => `${run}-${nodeId}-${nodeAttempt}`;

const rawOf = (place: Place, index: string, shard: string): string =>
  `${place.rawRoot}/${shard}/${nameOf(place)}/n${index}-${place.itemAttempt}`;

const shardOf = (index: number): string => String(index % 100).padStart(2, '0');

const hasMark = (text: string): boolean => text.includes(indexMark) || text.includes(shardMark);

/** One word of the shell: as it is but for the marks, which become its variables `i` and `s`. */
const shellWord = (text: string): string =>
  `'${text.replaceAll("'", `'\\''`).replaceAll(indexMark, `'"$i"'`).replaceAll(shardMark, `'"$s"'`)}'`;

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
