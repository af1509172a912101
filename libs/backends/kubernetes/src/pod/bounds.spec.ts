import { launchOf } from '@aloft/backend-kit/testing';
import { ResourceBounds } from '@aloft/idl/aloft/v1/bus';
import { Resources_ResourceName as Name } from '@aloft/idl/flyteidl/core/tasks';
import type { V1ResourceRequirements } from '@kubernetes/client-node';
import { boundPod, boundRoles } from './bound-object.js';
import { bounded, boundsOf, type Part } from './bounds.js';

const gpu = 'nvidia.com/gpu';
const bounds = boundsOf(
  {
    resourceBounds: ResourceBounds.fromPartial({
      defaults: {
        requests: [
          { name: Name.CPU, value: '500m' },
          { name: Name.MEMORY, value: '256Mi' },
        ],
        limits: [{ name: Name.CPU, value: '1' }],
      },
      limits: [
        { name: Name.CPU, value: '2' },
        { name: Name.MEMORY, value: '4Gi' },
        { name: Name.GPU, value: '1' },
      ],
    }),
  },
  gpu,
);
const none = boundsOf(launchOf({ name: 'run1-n0-0' }), gpu);

const within = (resources: V1ResourceRequirements, part: Part = 'task', given = bounds) =>
  bounded({ name: 'main', resources }, part, given);

describe('what a container gets (S-27, C-180)', () => {
  it.each<[string, V1ResourceRequirements, V1ResourceRequirements, string[]]>([
    [
      'nothing asked for: the defaults',
      {},
      { requests: { cpu: '500m', memory: '256Mi' }, limits: { cpu: '1', memory: '256Mi' } },
      ['cpu 500m to 1 by default', 'memory 256Mi by default'],
    ],
    [
      'a request is the limit, too, and a limit the request',
      { requests: { cpu: '1.5' }, limits: { memory: '1Gi' } },
      { requests: { cpu: '1.5', memory: '1Gi' }, limits: { cpu: '1.5', memory: '1Gi' } },
      [],
    ],
    [
      'more than is allowed is cut',
      { requests: { cpu: '3', memory: '1Gi' }, limits: { cpu: '8', memory: '8Gi' } },
      { requests: { cpu: '2', memory: '1Gi' }, limits: { cpu: '2', memory: '4Gi' } },
      ['cpu 2 instead of 8, since the platform allows 2', 'memory 4Gi instead of 8Gi, since the platform allows 4Gi'],
    ],
    [
      'GPUs are the same in both; numbers are quantities; 0 is nothing; what the platform does not know stays',
      { requests: { cpu: 1 as never, memory: '0', [gpu]: '2' }, limits: { 'rdma/infiniband': '4' } },
      {
        requests: { cpu: '1', memory: '256Mi', [gpu]: '1' },
        limits: { cpu: '1', memory: '256Mi', [gpu]: '1', 'rdma/infiniband': '4' },
      },
      ['memory 256Mi by default', `${gpu} 1 instead of 2, since the platform allows 1`],
    ],
    [
      'ephemeral storage has no default',
      { requests: { cpu: '1', memory: '1Gi', 'ephemeral-storage': '10Gi' } },
      {
        requests: { cpu: '1', memory: '1Gi', 'ephemeral-storage': '10Gi' },
        limits: { cpu: '1', memory: '1Gi', 'ephemeral-storage': '10Gi' },
      },
      [],
    ],
  ])('%s', (_, asked, resources, changes) => {
    expect(within(asked)).toEqual({ container: { name: 'main', resources }, changes });
  });

  it('one beside the task’s gets no more than is allowed, and nothing that it does not ask for', () => {
    expect(within({ requests: { cpu: '8' } }, 'beside').container.resources).toEqual({ requests: { cpu: '2' } });
    expect(within({}, 'beside')).toEqual({ container: { name: 'main' }, changes: [] });
  });

  it('without bounds it is as it was asked for', () => {
    expect(within({ requests: { cpu: '900' } }, 'task', none).container.resources?.limits).toEqual({ cpu: '900' });
    expect(within({}, 'task', none)).toEqual({ container: { name: 'main' }, changes: [] });
  });

  it('C-36: after it was out of memory the task’s container has more, up to what is allowed; others do not', () => {
    const more = { ...bounds, memoryFactor: 1.5 };
    const asked = { requests: { cpu: '1', memory: '1Gi' }, limits: { cpu: '1', memory: '2Gi' } };
    expect(within(asked, 'task', more)).toEqual({
      container: {
        name: 'main',
        resources: { requests: { cpu: '1', memory: '1536Mi' }, limits: { cpu: '1', memory: '3072Mi' } },
      },
      changes: ['memory 3072Mi instead of 2Gi, since it was out of memory'],
    });
    expect(within(asked, 'task', { ...more, memoryFactor: 4 }).container.resources?.limits?.['memory']).toBe('4Gi');
    expect(within(asked, 'beside', more).changes).toEqual([]);
  });

  it.each<[V1ResourceRequirements, RegExp]>([
    [{ requests: { cpu: 'lots' } }, /container "main": cpu: "lots" is not a quantity: .*500m/],
    [{ limits: { memory: '-1' } }, /container "main": memory: "-1" is not a quantity/],
    [{ limits: { [gpu]: '0.5' } }, /container "main" asks for 0\.5 of nvidia\.com\/gpu: only whole ones/],
    [
      { requests: { memory: '2Gi' }, limits: { memory: '1Gi' } },
      /container "main" requests 2Gi of memory and allows itself only 1Gi/,
    ],
  ])('%j is refused', (resources, message) => {
    expect(() => within(resources)).toThrow(message);
    expect(() => within(resources, 'beside')).toThrow(message);
  });
});

it('a pod: its primary container by the rules of a task’s, init and side containers by those of others', () => {
  const spec = {
    initContainers: [{ name: 'main', resources: { limits: { cpu: '16' } } }],
    containers: [{ name: 'main' }, { name: 'proxy', resources: { requests: { memory: '5Gi' } } }],
    nodeSelector: { disk: 'ssd' },
  };
  expect(boundPod(spec, 'main', bounds)).toEqual({
    object: {
      initContainers: [{ name: 'main', resources: { limits: { cpu: '2' } } }],
      containers: [
        {
          name: 'main',
          resources: { requests: { cpu: '500m', memory: '256Mi' }, limits: { cpu: '1', memory: '256Mi' } },
        },
        { name: 'proxy', resources: { requests: { memory: '4Gi' } } },
      ],
      nodeSelector: { disk: 'ssd' },
    },
    changes: [
      'main has cpu 2 instead of 16, since the platform allows 2',
      'main has cpu 500m to 1 by default; memory 256Mi by default',
      'proxy has memory 4Gi instead of 5Gi, since the platform allows 4Gi',
    ],
  });
});

it('an operator’s object: wherever it has containers', () => {
  const containers = [{ name: 'worker', resources: { limits: { cpu: '16' } } }];
  const cut = [{ name: 'worker', resources: { limits: { cpu: '2' } } }];
  const of = (list: unknown) => ({
    driver: { cores: 8, sidecars: list },
    groups: [{ template: { spec: { containers: list } } }],
  });
  expect(boundRoles(of(containers), bounds)).toEqual({
    object: of(cut),
    changes: Array.from({ length: 2 }, () => 'worker has cpu 2 instead of 16, since the platform allows 2'),
  });
});
