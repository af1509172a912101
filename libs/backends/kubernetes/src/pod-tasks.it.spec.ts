import { errorOf } from '@aloft/backend-kit/testing';
import { ResourceBounds } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { Resources_ResourceName as Name, TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { TaskNodeOverrides } from '@aloft/idl/flyteidl/core/workflow';
import { eachInFakeWorld } from './testing/each-in-fake-world.js';
import type { FakeWorld } from './testing/fake-world.js';
import type { Kube } from './testing/kube.js';

// Real: etcd, API server, scheduler, which take no pod that is not one. Nodes pretend (kwok).
describe('what pod tasks get (S-27, C-180)', () => {
  let kube: Kube;
  let world: FakeWorld;

  eachInFakeWorld({ kwok: 1 }, (...given) => ([kube, world] = given));

  const amounts = (cpu: string, memory: string) => [
    { name: Name.CPU, value: cpu },
    { name: Name.MEMORY, value: memory },
  ];
  const resourceBounds = ResourceBounds.fromPartial({
    defaults: { requests: amounts('100m', '64Mi') },
    limits: [...amounts('1', '1Gi'), { name: Name.GPU, value: '1' }],
  });

  /** As flytekit registers a task with a pod template of its own: GPUs are called `gpu`. */
  const podTask = (name: string, podSpec: object) => {
    const launch = world.launch(name, { 'run-for': '2s' });
    launch.template = TaskTemplate.fromPartial({
      ...launch.template,
      type: 'sidecar',
      config: { primary_container_name: 'primary' },
      target: { $case: 'k8sPod', value: { podSpec: podSpec as never } },
    });
    return { ...launch, resourceBounds };
  };
  const containersOf = async (name: string) => {
    const pod = await world.until(async () => (await world.pods()).find(({ metadata }) => metadata?.name === name));
    return [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])].map((container) => [
      container.name,
      container.resources,
    ]);
  };

  it('defaults for the primary container, the platform’s limits for all; the attempt says what was changed', async () => {
    await world.start();
    const launch = podTask('run1-n0-0', {
      initContainers: [{ name: 'fetch', image: 'i', resources: { limits: { cpu: '4' } } }],
      containers: [
        { name: 'primary', image: 'i', resources: { requests: { gpu: '2' }, limits: { gpu: '2', memory: '8Gi' } } },
        { name: 'proxy', image: 'i', resources: { requests: { memory: '32Mi' } } },
      ],
    });
    await world.bus.command({ launch });
    const gpus = { 'nvidia.com/gpu': '1' };
    expect(await containersOf('run1-n0-0')).toEqual([
      ['fetch', { requests: { cpu: '1' }, limits: { cpu: '1' } }],
      [
        'primary',
        { requests: { cpu: '100m', memory: '1Gi', ...gpus }, limits: { cpu: '100m', memory: '1Gi', ...gpus } },
      ],
      ['proxy', { requests: { memory: '32Mi' } }],
    ]);
    const { reason } = await world.bus.report(launch.attempt, (report) => report.reason !== '');
    expect(reason).toBe(
      'Resources: fetch has cpu 1 instead of 4, since the platform allows 1. ' +
        'primary has cpu 100m by default; memory 1Gi instead of 8Gi, since the platform allows 1Gi; ' +
        'nvidia.com/gpu 1 instead of 2, since the platform allows 1.',
    );
  });

  it('what a node overrides is the primary container’s, within the platform’s limits; the attempt says so', async () => {
    await world.start();
    const containers = [
      { name: 'primary', image: 'i', resources: { limits: { cpu: '500m', memory: '128Mi' } } },
      { name: 'proxy', image: 'i', resources: { limits: { cpu: '100m' } } },
    ];
    const launch = podTask('run1-n3-0', { containers });
    launch.podOverrides = TaskNodeOverrides.fromPartial({
      containerImage: 'other',
      resources: { requests: [{ name: Name.GPU, value: '1' }], limits: [{ name: Name.MEMORY, value: '2Gi' }] },
    });
    await world.bus.command({ launch });
    const gpus = { 'nvidia.com/gpu': '1' };
    expect(await containersOf('run1-n3-0')).toEqual([
      [
        'primary',
        { requests: { cpu: '500m', memory: '1Gi', ...gpus }, limits: { cpu: '500m', memory: '1Gi', ...gpus } },
      ],
      // The server's: what is not requested is the limit.
      ['proxy', { requests: { cpu: '100m' }, limits: { cpu: '100m' } }],
    ]);
    const [pod] = await world.pods();
    expect(pod?.spec?.containers.map(({ image }) => image)).toEqual(['other', 'i']);
    const { customInfo } = await world.bus.report(launch.attempt, (report) => report.customInfo !== undefined);
    expect(customInfo?.['resources']).toBe(
      'Resources: primary asks for nvidia.com/gpu 1; memory 2Gi instead of 128Mi, as its node overrides it. ' +
        'primary has memory 1Gi instead of 2Gi, since the platform allows 1Gi.',
    );
  });

  it('what a PodTemplate says goes before the platform’s defaults, and is kept within its limits', async () => {
    await kube.call('POST', '/api/v1/namespaces/default/podtemplates', {
      apiVersion: 'v1',
      kind: 'PodTemplate',
      metadata: { name: world.name },
      template: {
        spec: {
          containers: [
            { name: 'primary', image: 'unused', resources: { requests: { memory: '512Mi' } } },
            { name: 'agent', image: 'agent', resources: { limits: { cpu: '3' } } },
          ],
        },
      },
    });
    await world.start({ pods: { podTemplate: world.name, podTemplateNamespace: 'default' } });
    const launch = world.launch('run1-n1-0', { 'run-for': '2s' });
    const container = launch.template?.target?.$case === 'container' ? launch.template.target.value : undefined;
    container!.resources = { requests: [{ name: Name.CPU, value: '300m' }], limits: [] };
    launch.resources = { requests: amounts('300m', '64Mi'), limits: amounts('300m', '64Mi') };
    await world.bus.command({ launch: { ...launch, resourceBounds } });
    expect(await containersOf('run1-n1-0')).toEqual([
      ['main', { requests: { cpu: '300m', memory: '512Mi' }, limits: { cpu: '300m', memory: '512Mi' } }],
      ['agent', { requests: { cpu: '1' }, limits: { cpu: '1' } }],
    ]);
    expect(Phase[(await world.bus.end(launch.attempt)).phase]).toBe('SUCCEEDED');
  });

  it('what no container can have is refused, with its name and what is wrong', async () => {
    await world.start();
    const wrong = [
      { name: 'proxy', image: 'i', resources: { requests: { memory: '2Gi' }, limits: { memory: '1Gi' } } },
    ];
    const launch = podTask('run1-n2-0', { containers: [{ name: 'primary', image: 'i' }, ...wrong] });
    await world.bus.command({ launch });
    const end = await world.bus.end(launch.attempt);
    expect(Phase[end.phase]).toBe('FAILED');
    expect(errorOf(end as never)).toMatchObject({
      message: expect.stringContaining('container "proxy" requests 2Gi of memory and allows itself only 1Gi'),
    });
  });
});
