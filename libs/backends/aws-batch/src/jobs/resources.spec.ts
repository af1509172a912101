import { launchOf } from '@aloft/backend-kit/testing';
import { jobResources } from './resources.js';

const defaults = { cpu: 1, memoryBytes: 2 * 2 ** 30 };
const of = (asked: { cpu?: string; memory?: string; gpu?: string }, platform: 'EC2' | 'FARGATE' = 'EC2') =>
  jobResources(launchOf({ name: 'run1-n0-0', ...asked }), platform, defaults);

describe('resources of a job (S-27)', () => {
  it.each([
    [{}, { vcpu: '1', memoryMiB: 2048, gpu: 0 }],
    [
      { cpu: '500m', memory: '100Mi' },
      { vcpu: '1', memoryMiB: 100, gpu: 0 },
    ],
    [
      { cpu: '1500m', memory: '1.5Gi' },
      { vcpu: '2', memoryMiB: 1536, gpu: 0 },
    ],
    [
      { cpu: '8', memory: '1G', gpu: '2' },
      { vcpu: '8', memoryMiB: 954, gpu: 2 },
    ],
    [{ memory: '1' }, { vcpu: '1', memoryMiB: 4, gpu: 0 }],
  ])('%j on EC2', (asked, given) => {
    expect(of(asked)).toEqual(given);
  });

  it.each([
    [
      { cpu: '100m', memory: '100Mi' },
      { vcpu: '0.25', memoryMiB: 512 },
    ],
    [
      { cpu: '250m', memory: '2Gi' },
      { vcpu: '0.25', memoryMiB: 2048 },
    ],
    [
      { cpu: '250m', memory: '2049Mi' },
      { vcpu: '0.5', memoryMiB: 3072 },
    ],
    [
      { cpu: '1', memory: '1Gi' },
      { vcpu: '1', memoryMiB: 2048 },
    ],
    [
      { cpu: '5', memory: '17Gi' },
      { vcpu: '8', memoryMiB: 20480 },
    ],
    [
      { cpu: '16', memory: '120Gi' },
      { vcpu: '16', memoryMiB: 122880 },
    ],
  ])('%j on Fargate: the smallest of its sizes that has enough of both', (asked, given) => {
    expect(of(asked, 'FARGATE')).toEqual({ ...given, gpu: 0 });
  });

  it.each([
    [{ gpu: '1' }, 'GPU'],
    [{ cpu: '17' }, '17 cpu'],
    [{ memory: '121Gi' }, '121Gi'],
  ])('%j: Fargate has none such, which is said', (asked, part) => {
    expect(of(asked, 'FARGATE')).toMatchObject({ reason: expect.stringContaining(part) });
  });
});
