import { describe, expect, it } from '@jest/globals';
import { backendsConfigSchema } from './config.js';
import { lacksDependencies, missingPlaces, type NamedPlace } from './places.js';

describe('what a routing rule names besides its backend (U-23)', () => {
  const config = backendsConfigSchema.parse({
    awsBatch: {
      queues: [{ name: 'gpus', onDemand: 'gpu', tags: ['accelerated'] }],
      roles: { default: 'arn:aws:iam::1:role/tasks', allowed: ['arn:aws:iam::1:role/team-*'] },
    },
    kubernetes: { clusters: [{ name: 'a', labels: ['gpu'], pools: ['east'] }] },
    plugins: { jobs: { module: 'jobs' } },
  });

  it.each<NamedPlace>([
    { backend: 'aws-batch', queue: 'accelerated', iamRole: 'arn:aws:iam::1:role/team-a' },
    { backend: 'aws-batch', iamRole: 'arn:aws:iam::1:role/tasks' },
    { backend: 'kubernetes', clusterLabel: 'gpu', clusterPool: 'east', iamRole: 'x', serviceAccount: 'y', podTemplate: 'z' }, // prettier-ignore
    { backend: 'connector', iamRole: 'x', serviceAccount: 'y' },
    { backend: 'jobs', queue: 'q', iamRole: 'x', serviceAccount: 'y', podTemplate: 'z' },
  ])('%j is there', (place) => {
    expect(missingPlaces(config, place)).toEqual([]);
  });

  it.each<[NamedPlace, string, string]>([
    [{ backend: 'aws-batch', queue: 'q' }, 'queue', 'has no queue "q"; it has gpus, accelerated'],
    [{ backend: 'kubernetes', clusterLabel: 'cpu' }, 'clusterLabel', 'has no cluster with the label "cpu"; it has gpu'],
    [{ backend: 'aws-batch', iamRole: 'arn:aws:iam::1:role/x' }, 'iamRole', 'does not allow the role "arn:aws:iam::1:role/x"; allowed are arn:aws:iam::1:role/tasks, arn:aws:iam::1:role/team-*'], // prettier-ignore
    [{ backend: 'local', iamRole: 'x' }, 'iamRole', 'has no IAM roles; aws-batch, kubernetes, connector have'],
    [{ backend: 'spark', serviceAccount: 'x' }, 'serviceAccount', 'has no service accounts'],
    [{ backend: 'aws-batch', podTemplate: 'x' }, 'podTemplate', 'has no pods; kubernetes have'],
  ])('%j is not', (place, key, message) => {
    expect(missingPlaces(config, place)).toEqual([{ key, message: expect.stringContaining(message) }]);
  });

  it('S-5: jobs depend on each other at AWS Batch, and where a module says so', () => {
    expect(['aws-batch', 'jobs'].map((backend) => lacksDependencies(config, backend))).toEqual([undefined, undefined]);
    expect(lacksDependencies(config, 'local')).toBe(
      'the backend "local" has no dependencies between its jobs; aws-batch has',
    );
  });
});
