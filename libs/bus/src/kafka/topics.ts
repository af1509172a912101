import { AloftError, failedPrecondition, unavailable } from '@aloft/errors';
import { maxMessageBytes } from '../port.js';
import type { Cluster, TopicState } from './client/cluster.js';
import { errorName } from './client/kafkajs.js';
import { patiently } from './client/offsets.js';

export interface TopicSettings {
  partitions: number;
  replicationFactor: number;
  minInSyncReplicas: number;
  retentionMs: number;
  createTopics: boolean;
}

/** An envelope of the largest size with its headers, as a batch of its own. */
const minBatchBytes = maxMessageBytes + 16 * 1024;
const createdBatchBytes = 1_048_588;
const topicResource = 2;
const checked = ['min.insync.replicas', 'retention.ms', 'max.message.bytes', 'cleanup.policy', 'compression.type'];
const readable = new Set(['producer', 'uncompressed', 'gzip']);
const alreadyExists = 36;

/**
 * Makes the topics that are missing and checks all of them; resolves to the smallest `max.message.bytes`. Rejects with
 * everything that is wrong at once, and how to mend each.
 */
export async function prepareTopics(
  cluster: Cluster,
  topics: readonly string[],
  settings: TopicSettings,
): Promise<number> {
  if (topics.length === 0) return createdBatchBytes;
  await cluster.refresh(topics);
  const brokers = cluster.brokerCount;
  if (settings.minInSyncReplicas > settings.replicationFactor)
    throw failedPrecondition(
      `bus.kafka.minInSyncReplicas is ${settings.minInSyncReplicas}, more than bus.kafka.replicationFactor ` +
        `(${settings.replicationFactor}): nothing could ever be written`,
    );
  const missing = topics.filter((topic) => cluster.topic(topic)?.errorCode === 3);
  if (missing.length > 0) {
    if (!settings.createTopics) throw failedPrecondition(notThere(cluster, missing, settings));
    if (settings.replicationFactor > brokers) throw failedPrecondition(tooFewBrokers(brokers, settings));
    await create(cluster, missing, settings);
  }
  await patiently(async () => {
    await cluster.refresh(topics);
    const late = topics.find((topic) => [3, 5].includes(cluster.topic(topic)?.errorCode ?? 3));
    if (late !== undefined) throw unavailable(`topic ${cluster.external(late)} is not there yet`);
  }, 15_000);
  const configs = await describe(cluster, topics);
  const wrong = topics.flatMap((topic) => problems(cluster, topic, configs.get(topic), settings));
  if (wrong.length > 0) throw failedPrecondition(`the bus's topics can't be used:\n- ${wrong.join('\n- ')}`);
  return Math.min(...[...configs.values()].map((config) => Number(config['max.message.bytes'] ?? createdBatchBytes)));
}

const tooFewBrokers = (brokers: number, { replicationFactor }: TopicSettings): string =>
  `bus.kafka.replicationFactor is ${replicationFactor}, and this cluster has ${brokers} live broker${brokers === 1 ? '' : 's'}: ` +
  `start more brokers, or set replicationFactor (and minInSyncReplicas) to at most ${brokers}`;

function notThere(cluster: Cluster, missing: readonly string[], settings: TopicSettings): string {
  const commands = missing.map(
    (topic) =>
      `kafka-topics.sh --create --topic ${cluster.external(topic)} --partitions ${settings.partitions} --replication-factor ` +
      `${settings.replicationFactor} --config min.insync.replicas=${settings.minInSyncReplicas} --config ` +
      `retention.ms=${settings.retentionMs} --config max.message.bytes=${createdBatchBytes} --config cleanup.policy=delete`,
  );
  return `topics are missing and bus.kafka.createTopics is off: set it to true, or create them:\n${commands.join('\n')}`;
}

async function create(cluster: Cluster, topics: readonly string[], settings: TopicSettings): Promise<void> {
  const configEntries = Object.entries({
    'min.insync.replicas': settings.minInSyncReplicas,
    'retention.ms': settings.retentionMs,
    'max.message.bytes': createdBatchBytes,
    'cleanup.policy': 'delete',
  }).map(([name, value]) => ({ name, value: String(value) }));
  const controller = await cluster.controller();
  const { topicErrors } = await controller.send(
    'CreateTopics',
    {
      topics: topics.map((topic) => ({
        topic: cluster.external(topic),
        numPartitions: settings.partitions,
        replicationFactor: settings.replicationFactor,
        configEntries,
      })),
      validateOnly: false,
      timeout: 10_000,
    },
    15_000,
  );
  for (const { topic, errorCode, errorMessage } of topicErrors) {
    if (errorCode === 0 || errorCode === alreadyExists) continue; // Another process was faster; it is checked below.
    if (errorCode === 38) throw failedPrecondition(tooFewBrokers(cluster.brokerCount, settings));
    if (errorCode === 29 || errorCode === 31)
      throw new AloftError(
        'PERMISSION_DENIED',
        `this service may not create topic ${topic}: grant it CREATE on the topic, or create it and set ` +
          'bus.kafka.createTopics to false',
      );
    const error = `topic ${topic} could not be created: ${errorMessage ?? errorName(errorCode)}`;
    throw errorCode === 7 || errorCode === 41 ? unavailable(error) : failedPrecondition(error);
  }
  cluster.log.info({ topics, ...settings }, 'topics were created');
}

type Config = Record<string, string | null>;

/** Settings of each topic; undefined where this service may not see them. */
async function describe(cluster: Cluster, topics: readonly string[]): Promise<Map<string, Config>> {
  const link = await cluster.any();
  const { resources } = await link.send('DescribeConfigs', {
    resources: topics.map((topic) => ({ type: topicResource, name: cluster.external(topic), configNames: checked })),
    includeSynonyms: false,
  });
  const configs = new Map<string, Config>();
  for (const { errorCode, errorMessage, resourceName, configEntries } of resources) {
    if (errorCode === 0)
      configs.set(
        cluster.internal(resourceName),
        Object.fromEntries(configEntries.map(({ configName, configValue }) => [configName, configValue])),
      );
    else
      cluster.log.warn(
        { topic: resourceName, reason: errorMessage ?? errorName(errorCode) },
        'the settings of a topic could not be checked (grant DESCRIBE_CONFIGS)',
      );
  }
  return configs;
}

function problems(cluster: Cluster, topic: string, config: Config | undefined, settings: TopicSettings): string[] {
  const name = cluster.external(topic);
  const state = cluster.topic(topic)!;
  if (state.errorCode === 29)
    return [`${name}: this service may not see it: grant it DESCRIBE, and READ or WRITE as it needs`];
  if (state.errorCode !== 0) return [`${name}: ${errorName(state.errorCode)}`];
  return [
    ...shapeProblems(name, state, cluster.brokerCount, settings),
    ...(config ? configProblems(name, state, config, settings) : []),
  ];
}

function shapeProblems(name: string, state: TopicState, brokers: number, settings: TopicSettings): string[] {
  const wrong: string[] = [];
  const count = state.partitions.size;
  if (count !== settings.partitions)
    wrong.push(
      `${name} has ${count} partitions and bus.partitions is ${settings.partitions}: a key's messages would change ` +
        `streams. Set bus.partitions to ${count} for every service` +
        (count < settings.partitions
          ? `; an installation without data may instead delete and create the topic anew`
          : ''),
    );
  const replicas = Math.min(...[...state.partitions.values()].map((partition) => partition.replicas.length));
  if (replicas < settings.replicationFactor)
    wrong.push(
      `${name} has ${replicas} replica${replicas === 1 ? '' : 's'} and bus.kafka.replicationFactor is ` +
        `${settings.replicationFactor}: reassign it (kafka-reassign-partitions.sh), or lower the setting`,
    );
  if (replicas > brokers)
    wrong.push(`${name} has ${replicas} replicas and only ${brokers} brokers live: start the others`);
  return wrong;
}

function configProblems(name: string, state: TopicState, config: Config, settings: TopicSettings): string[] {
  const wrong: string[] = [];
  const alter = (setting: string, value: string | number) =>
    `kafka-configs.sh --alter --entity-type topics --entity-name ${name} --add-config ${setting}=${value}`;
  const replicas = Math.min(...[...state.partitions.values()].map((partition) => partition.replicas.length));
  const inSync = Number(config['min.insync.replicas']);
  if (inSync > replicas)
    wrong.push(
      `${name} wants ${inSync} replicas in sync and has ${replicas}: nothing could be written. ` +
        alter('min.insync.replicas', Math.min(settings.minInSyncReplicas, replicas)),
    );
  else if (inSync < settings.minInSyncReplicas)
    wrong.push(
      `${name} is acknowledged with ${inSync} replicas in sync, bus.kafka.minInSyncReplicas asks for ` +
        `${settings.minInSyncReplicas}: ${alter('min.insync.replicas', settings.minInSyncReplicas)}`,
    );
  const retention = Number(config['retention.ms']);
  if (retention >= 0 && retention < settings.retentionMs)
    wrong.push(
      `${name} keeps messages ${retention} ms, bus.kafka.retentionMs asks for at least ${settings.retentionMs}: ` +
        alter('retention.ms', settings.retentionMs),
    );
  const bytes = Number(config['max.message.bytes']);
  if (bytes < minBatchBytes)
    wrong.push(
      `${name} takes ${bytes} bytes at most and messages have up to ${minBatchBytes} with their headers: ` +
        alter('max.message.bytes', createdBatchBytes),
    );
  const policy = config['cleanup.policy'] ?? 'delete';
  if (policy.includes('compact'))
    wrong.push(`${name} is compacted (${policy}), which loses events: ${alter('cleanup.policy', 'delete')}`);
  const compression = config['compression.type'] ?? 'producer';
  if (!readable.has(compression))
    wrong.push(
      `${name} is compressed with ${compression}, which is not read here: ${alter('compression.type', 'producer')}`,
    );
  return wrong;
}
