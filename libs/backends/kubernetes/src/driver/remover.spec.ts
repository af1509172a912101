import { unavailable } from '@aloft/errors';
import { pods } from '../cluster/resource.js';
import type { ObjectKind } from '../kind.js';
import { testLogger } from '../testing/pod-world.js';
import type { Cluster } from './cluster.js';
import { finalizer } from './finalizer.js';
import { Remover } from './remover.js';

describe('the remover', () => {
  const kind = { resource: pods, lingers: (): boolean => false } as unknown as ObjectKind;
  const object = { metadata: { namespace: 'n', name: 'p', uid: 'u' } };

  it('deletes what it is told of again and again once, while the cluster does not answer and after', async () => {
    let asked = 0;
    let answers = false;
    const cluster = {
      clean: (work: () => Promise<unknown>) => work(),
      delete: async () => {
        asked++;
        if (!answers) throw unavailable('nothing came for 15 s');
        return true;
      },
    } as unknown as Cluster;
    const remover = new Remover({ remove: 'always', graceSeconds: 1 }, testLogger);
    const first = remover.settle(cluster, kind, object, true);
    await Promise.all(Array.from({ length: 20 }, () => remover.settle(cluster, kind, object, true)));
    expect(asked).toBe(1);
    answers = true;
    await first;
    expect(asked).toBe(2);
    await remover.settle(cluster, kind, object, true);
    expect(asked).toBe(3);
  });
  it('lets go of what is kept, and leaves alone what nothing holds', async () => {
    const done: string[] = [];
    const cluster = {
      clean: (work: () => Promise<unknown>) => work(),
      release: async () => done.push('released'),
      delete: async () => done.push('deleted'),
    } as unknown as Cluster;
    const remover = new Remover({ remove: 'on-success', graceSeconds: 1 }, testLogger);
    const held = { metadata: { ...object.metadata, finalizers: ['else.dev/x', finalizer] } };
    await remover.settle(cluster, kind, held, false);
    await remover.settle(cluster, kind, object, false);
    await remover.settle(cluster, kind, held, true);
    expect(done).toEqual(['released', 'deleted']);
  });
});
