import { readTrace, isTracing, withLinkedSpan, type Gauge, type Metrics } from '@aloft/telemetry';
import type { ConsumerOptions, IncomingMessage, StreamStatus } from '../port.js';

/** The consumer's handler within a span per batch: of the messages' trace if they have one in common, else linked to theirs. */
export function traced({ topic, group, handle }: ConsumerOptions): ConsumerOptions['handle'] {
  return (messages, tx) => {
    if (!isTracing()) return handle(messages, tx);
    const attributes = {
      'messaging.system': 'aloft',
      'messaging.destination.name': topic,
      'messaging.consumer.group.name': group,
      'messaging.batch.message_count': messages.length,
    };
    const work = () => handle(messages, tx);
    return withLinkedSpan(tracesOf(messages), `process ${topic}`, attributes, work, {
      kind: 'consumer',
      scope: 'aloft.bus',
    });
  };
}

function tracesOf(messages: readonly IncomingMessage[]) {
  return messages.flatMap(({ envelope }) => readTrace(envelope.traceparent, envelope.tracestate) ?? []);
}

interface Watched {
  group: string;
  topic: string;
  status: () => readonly StreamStatus[];
}

const watched = new WeakMap<Metrics, Set<Watched>>();

/**
 * Publishes how far a group is behind in a topic: messages published and not yet stored as done, over the streams that this process
 * holds; the sum over processes is the group's lag. `status` as {@link Consumer.status} gives it. Returns what ends it.
 */
export function observeLag(
  metrics: Metrics | undefined,
  group: string,
  topic: string,
  status: () => readonly StreamStatus[],
): () => void {
  if (!metrics) return () => undefined;
  const sources = watched.get(metrics) ?? new Set<Watched>();
  watched.set(metrics, sources);
  const source = { group, topic, status };
  sources.add(source);
  metrics.gauge({
    name: 'aloft_bus_lag_messages',
    help: 'Messages published and not yet done, of the streams held by this process',
    labels: ['group', 'topic'],
    collect: (gauge) => collect(gauge, sources),
  });
  metrics.gauge({
    name: 'aloft_bus_streams_held',
    help: 'Streams (partitions of a topic) that this process holds',
    labels: ['group', 'topic'],
    collect: (gauge) => {
      gauge.reset();
      for (const each of sources) gauge.inc({ group: each.group, topic: each.topic }, each.status().length);
    },
  });
  return () => void sources.delete(source);
}

function collect(gauge: Gauge<'group' | 'topic'>, sources: ReadonlySet<Watched>): void {
  gauge.reset();
  for (const { group, topic, status } of sources) {
    const lag = status().reduce((sum, { head, position }) => sum + (head > position ? head - position : 0n), 0n);
    gauge.inc({ group, topic }, Number(lag));
  }
}
