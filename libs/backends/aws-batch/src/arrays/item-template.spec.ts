import { execFileSync } from 'node:child_process';
import { overridesOf } from '../jobs/overrides.js';
import { itemLaunch, type ItemOptions } from '../testing/items.js';
import { writeRanges } from './item-ranges.js';
import { arrayOf, arrayOverrides, asArrayItem, itemTemplate } from './item-template.js';

const moved = (options: ItemOptions) => {
  const item = asArrayItem(itemLaunch(options));
  if (!item) throw new Error('it is no item of an array');
  return item;
};
const templateOf = (options: ItemOptions) => {
  const item = moved(options);
  return itemTemplate(item, overridesOf(item, {}));
};
const args = (output: string, raw: string, checkpoints: string) => [
  'printf',
  '%s|',
  "it's",
  '$HOME `id` "q"',
  '--output-prefix',
  output,
  '--raw',
  raw,
  '--checkpoint-path',
  checkpoints,
];

describe('items of an array in one job', () => {
  it('have the same template, whatever their index', () => {
    const templates = [0, 5, 17, 4_999].map((index) => templateOf({ index, size: 5_000, args }));
    for (const template of templates) expect(template).toEqual(templates[0]);
    expect(templateOf({ index: 5, size: 5_000, retry: 1, args })).not.toEqual(templates[0]);
  });

  it('that go on from a checkpoint of their own, too', () => {
    const withCheckpoint = (index: number) => {
      const previous = moved({ index, size: 5_000 }).checkpointPrefix;
      const more = (...places: [string, string, string]) => [...args(...places), '--prev-checkpoint', previous];
      return templateOf({ index, size: 5_000, retry: 1, args: more });
    };
    expect(withCheckpoint(4_321)).toEqual(withCheckpoint(7));
  });

  it.each([
    ['all of them', [0, 1, 2, 3, 4]],
    ['a sparse set', [3, 17, 99, 100, 101, 4_999]],
  ])('of %s each child runs its own command: what a shell makes of it', (_, indices) => {
    const first = moved({ index: indices[0]!, size: 5_000, args });
    const overrides = arrayOverrides(itemTemplate(first, overridesOf(first, {})), writeRanges(indices), arrayOf(first));
    for (const [child, index] of indices.entries()) {
      const [shell = '', ...words] = overrides.command;
      const environment = Object.fromEntries(overrides.environment.map(({ name, value }) => [name, value]));
      const said = execFileSync(shell, words, {
        env: { PATH: process.env['PATH'], ...environment, AWS_BATCH_JOB_ARRAY_INDEX: String(child) },
        encoding: 'utf8',
      });
      const own = overridesOf(moved({ index, size: 5_000, args }), {}).command.slice(2);
      expect(said.split('|').slice(0, -1)).toEqual(own);
    }
  });

  it('the index stands where flytekit looks for it, and in variables that have it', () => {
    const item = moved({
      index: 12,
      size: 100,
      args: () => ['sh', '-c', 'echo $FLYTE_K8S_ARRAY_INDEX $BATCH_JOB_ARRAY_INDEX_VAR_NAME $OUT'],
    });
    item.env = [...item.env, { key: 'OUT', value: `${item.outputPrefix}/x` }];
    const { command, environment } = arrayOverrides(itemTemplate(item, overridesOf(item, {})), '10-20', arrayOf(item));
    const said = execFileSync(command[0] as string, command.slice(1), {
      env: {
        PATH: process.env['PATH'],
        ...Object.fromEntries(environment.map(({ name, value }) => [name, value])),
        AWS_BATCH_JOB_ARRAY_INDEX: '3',
      },
      encoding: 'utf8',
    });
    expect(said.trim()).toBe(`13 FLYTE_K8S_ARRAY_INDEX ${item.outputPrefix.replace('/12/', '/13/')}/x`);
  });

  it('a launch with another layout is a job of its own', () => {
    expect(asArrayItem({ ...itemLaunch({ index: 3, size: 9 }), outputPrefix: 's3://elsewhere/3' })).toBeUndefined();
  });
});
