import { SimpleType } from '@aloft/idl/flyteidl/core/types';
import { Secret_MountType } from '@aloft/idl/flyteidl/core/security';
import { containerTask, shellTask, t, task, workflow } from './index.js';
import type { Task } from './entities.js';
import { serialize } from './serialize/index.js';

const context = {
  project: 'p',
  domain: 'd',
  version: 'v1',
  image: 'default:1',
  module: 'm.js',
  transfer: { upload: () => Promise.reject(new Error()), download: () => Promise.reject(new Error()) },
};
const templateOf = async (entity: Task<never, never>) => {
  const { tasks } = await serialize([entity as unknown as Task], context);
  return tasks[0]!.spec.template!;
};
const containerOf = (template: Awaited<ReturnType<typeof templateOf>>) =>
  template.target?.$case === 'container' ? template.target.value : undefined;

describe('tasks that are commands', () => {
  const area = containerTask({
    name: 'area',
    image: 'busybox:1.37',
    inputs: { a: t.int, map: t.file('csv') },
    outputs: { area: t.int },
    command: ['awk', '-f', '/in/program', '{{.inputs.a}}'],
    inputPath: '/in',
    retries: 2,
  });

  it('C-180: a container task is a raw container with its folders', async () => {
    const template = await templateOf(area as never);
    expect(template).toMatchObject({ type: 'raw-container', metadata: { retries: { retries: 2 } } });
    expect(template.interface?.outputs?.variables['area']?.type?.type).toEqual({
      $case: 'simple',
      value: SimpleType.INTEGER,
    });
    expect(containerOf(template)).toMatchObject({
      image: 'busybox:1.37',
      command: ['awk', '-f', '/in/program', '{{.inputs.a}}'],
      args: [],
      dataConfig: { enabled: true, inputPath: '/in', outputPath: '/var/outputs' },
    });
  });

  it('a shell task is one that runs a script and tells it its folders', async () => {
    const shout = shellTask({
      name: 'shout',
      inputs: { text: t.file() },
      outputs: { loud: t.file() },
      script: 'tr a-z A-Z < $INPUTS/text > $OUTPUTS/loud',
    });
    expect(containerOf(await templateOf(shout as never))).toMatchObject({
      command: ['/bin/sh', '-e', '-c', 'tr a-z A-Z < $INPUTS/text > $OUTPUTS/loud'],
      env: [
        { key: 'INPUTS', value: '/var/inputs' },
        { key: 'OUTPUTS', value: '/var/outputs' },
      ],
    });
  });

  it('is a node like any other; a local run says that it cannot', async () => {
    const wf = workflow({ name: 'wf', inputs: { a: t.int, m: t.file('csv') }, outputs: { r: t.int } }, ({ a, m }) => ({
      r: area({ a, map: m }).area,
    }));
    const { tasks, workflows } = await serialize([wf as never], context);
    expect([tasks.length, workflows[0]!.spec.template!.nodes[0]!.id]).toEqual([1, 'n0']);
    await expect(containerTask({ name: 'c', image: 'i', command: ['true'] }).local()).rejects.toThrow(
      'task c is a command in a container: it runs on a platform only',
    );
  });

  it.each([
    [{ command: [] }, 'command must name at least the program'],
    [{ command: ['x'], inputPath: 'in' }, "inputPath must be an absolute path like /var/inputs, but it is 'in'"],
    [{ command: ['x'], outputPath: '/var/inputs' }, 'inputPath and outputPath must differ'],
  ])('%j is refused', (given, message) => {
    expect(() => containerTask({ image: 'i', ...given })).toThrow(message);
  });
});

it('C-36, C-51, C-52, C-175: limits, policies and secrets that flyteidl has other places for', async () => {
  const limited = task(
    {
      name: 'limited',
      activeTimeout: '1h30m',
      queueTimeout: 5000,
      retryPolicy: 'delay=10s',
      secrets: [{ key: 'a' }, { group: 'g', key: 'b', mount: 'file' }],
    },
    () => ({}),
  );
  const template = await templateOf(limited as never);
  expect(template.config).toEqual({
    'aloft.active-timeout': '5400000ms',
    'aloft.queue-timeout': '5000ms',
    'aloft.retry': 'delay=10s',
  });
  expect(template.securityContext?.secrets).toMatchObject([
    { group: '', key: 'a', mountRequirement: Secret_MountType.ANY },
    { group: 'g', key: 'b', mountRequirement: Secret_MountType.FILE },
  ]);
});
