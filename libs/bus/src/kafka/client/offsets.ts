import { AloftError, unavailable } from '@aloft/errors';
import { Backoff } from '../../backoff.js';
import type { Stream } from '../../port.js';
import { isStale, type Cluster } from './cluster.js';
import { errorName } from './kafkajs.js';

const earliest = '-2';
const latest = '-1';

/** Offset of each stream's first record that is still there, or of the next one to come. */
async function listOffsets(cluster: Cluster, streams: readonly Stream[], timestamp: string): Promise<bigint[]> {
  const found = new Map<string, bigint>();
  const answers = await cluster.askLeaders('ListOffsets', streams, (list) => ({
    replicaId: -1,
    isolationLevel: 0,
    topics: cluster.grouped(list, ({ partition }) => ({ partition, timestamp })),
  }));
  for (const { responses } of answers)
    for (const { topic, partitions } of responses)
      for (const { partition, errorCode, offset } of partitions) {
        if (isStale(errorCode)) await cluster.refresh();
        if (errorCode !== 0)
          throw new AloftError(
            isStale(errorCode) ? 'UNAVAILABLE' : errorCode === 29 ? 'PERMISSION_DENIED' : 'INTERNAL',
            `Kafka gives no offsets of ${topic}/${partition}: ${errorName(errorCode)}`,
          );
        found.set(`${cluster.internal(topic)}/${partition}`, BigInt(offset));
      }
  return streams.map(({ topic, partition }) => {
    const offset = found.get(`${topic}/${partition}`);
    if (offset === undefined) throw unavailable(`Kafka gave no offset of ${topic}/${partition}`);
    return offset;
  });
}

/** Tries again while brokers are lost or leaders change, for some seconds. */
export async function patiently<T>(work: () => Promise<T>, ms = 10_000): Promise<T> {
  const backoff = new Backoff(50, 1_000);
  for (const until = Date.now() + ms; ;) {
    try {
      return await work();
    } catch (error) {
      const retry = !(error instanceof AloftError) || error.code === 'UNAVAILABLE';
      if (!retry || Date.now() > until) throw error;
      await backoff.wait();
    }
  }
}

/** Offset of the next record to come, for each stream. */
export const endOffsets = (cluster: Cluster, streams: readonly Stream[]): Promise<bigint[]> =>
  patiently(() => listOffsets(cluster, streams, latest));

/** Offset of the oldest record that is still there, for each stream. */
export const startOffsets = (cluster: Cluster, streams: readonly Stream[]): Promise<bigint[]> =>
  patiently(() => listOffsets(cluster, streams, earliest));
