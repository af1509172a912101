import { unavailable } from '@aloft/errors';
import type { ObjectKind } from '../kind.js';
import { testLogger } from '../testing/pod-world.js';
import type { Cluster } from './cluster.js';
import { Remover } from './remover.js';

describe('the remover', () => {
  const kind = { resource: { apiVersion: 'v1', kind: 'Pod', plural: 'pods' } } as ObjectKind;
  const object = { metadata: { namespace: 'n', name: 'p', uid: 'u' } };

  it('deletes what it is told of again and again once, while the cluster does not answer and after', async () => {
    let asked = 0;
    let answers = false;
    const cluster = {
      clean: (work: () => Promise<unknown>) => work(),
      client: {
        delete: async () => {
          asked++;
          if (!answers) throw unavailable('nothing came for 15 s');
          return true;
        },
      },
    } as unknown as Cluster;
    const remover = new Remover({ remove: 'always', graceSeconds: 1 }, testLogger);
    const first = remover.delete(cluster, kind, object);
    await Promise.all(Array.from({ length: 20 }, () => remover.delete(cluster, kind, object)));
    expect(asked).toBe(1);
    answers = true;
    await first;
    expect(asked).toBe(2);
    await remover.delete(cluster, kind, object);
    expect(asked).toBe(3);
  });
});
