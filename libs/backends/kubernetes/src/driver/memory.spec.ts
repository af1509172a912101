import { failure, timestampOf } from '@aloft/backend-kit';
import { TaskUsage } from '@aloft/idl/aloft/v1/bus';
import { encodeMemory, memoryIn, type Memory } from './memory.js';

describe('what is written down of an attempt', () => {
  const at = new Date('2026-11-27T12:00:00.125Z');
  const end: Memory['end'] = {
    how: 'cut short',
    failure: failure({ code: 'ImagePullBackOff', message: 'no such image', kind: 'USER', retryable: true }),
    usage: TaskUsage.fromPartial({
      cpuSeconds: 1.5,
      peakMemoryBytes: 2n ** 33n,
      memoryByteSeconds: 7,
      startedAt: timestampOf(at),
      endedAt: timestampOf(at),
    }),
    at,
  };

  it.each<[string, Memory]>([
    ['nothing', {}],
    ['the cluster', { cluster: 'main' }],
    ['the object', { cluster: 'main', uid: 'u-1' }],
    ['an end', { cluster: 'main', uid: 'u-1', end }],
  ])('%s comes back as it was', (_, memory) => {
    const written = encodeMemory(memory);
    expect(memoryIn(written)).toMatchObject({ cluster: memory.cluster, uid: memory.uid });
    expect(memoryIn(written).end?.at).toEqual(memory.end?.at);
    expect(String(encodeMemory(memoryIn(written)))).toBe(String(written));
  });

  it('no bytes: nothing', () => {
    expect(memoryIn(undefined)).toEqual({});
  });
});
