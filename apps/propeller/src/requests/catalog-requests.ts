import { createHash } from 'node:crypto';
import { nodeDataPrefix, type LookUpCache, type StoreInCache } from '@aloft/engine';
import { AloftError, toAloftError } from '@aloft/errors';
import type { TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import { CacheLookedUp_Result as Result } from '@aloft/idl/aloft/v1/engine';
import type { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import type {
  ArtifactData,
  DatasetID,
  DataCatalogService,
  GetOrExtendReservationRequest,
  Metadata,
} from '@aloft/idl/flyteidl/datacatalog/datacatalog';
import type { LiteralType } from '@aloft/idl/flyteidl/core/types';
import { explainLiteralMismatch } from '@aloft/literals';
import type { RpcClient } from '@aloft/rpc';
import type { Logger } from '@aloft/telemetry';
import { attemptKey } from '../events/outgoing.js';
import { toMs, toTimestamp } from '../runs/clock.js';
import type { LiteralStore } from '../commit/literal-store.js';
import type { Timing } from '../runs/timing.js';
import { literalsValue, type Answer } from './answers.js';
import { artifactMetadata, catalogMetadata, datasetMetadata, datasetOf, sourceOf, tagOf } from './catalog-key.js';
import type { HeldReservations } from './held-reservations.js';
import { unreachable, withRetries, type RetryPolicy } from './retry.js';

export type CatalogClient = RpcClient<typeof DataCatalogService>;

export interface CatalogRequestsOptions {
  client: () => CatalogClient;
  literals: LiteralStore;
  reservations: HeldReservations;
  logger: Logger;
  now(): number;
  timing: Timing;
  /** Older entries are misses (C-93); 0 = no limit. */
  maxAgeMs: number;
  /** A run that waits for somebody's reservation looks again after this time, or when it expires. */
  reservedRetryMs: number;
}

/** Ended attempts remembered: more look-ups than these are never on their way. */
const overKept = 10_000;

/** Short: a run would rather compute than wait for a catalog that is not there (C-93). */
const policy: RetryPolicy = {
  tries: 4,
  firstPauseMs: 50,
  maxPauseMs: 1000,
  // One that does not answer in time is a replica that hangs: the next try goes to another. All calls are harmless when repeated.
  retried: new Set([...unreachable, 'DEADLINE_EXCEEDED']),
};

/** The catalog as the engine asks for it (C-90…C-95, A-140…A-146). No failure here ever fails a node. */
export class CatalogRequests {
  /** Metadata of datasets seen; they never change. */
  private readonly datasets = new Map<string, Metadata>();
  /**
   * Attempts whose nodes are over, the latest last, with what they had reserved: a look-up that is still on its way must not hold a reservation for
   * one. Attempts are never used twice.
   */
  private readonly ended = new Map<string, GetOrExtendReservationRequest | undefined>();

  constructor(private readonly options: CatalogRequestsOptions) {}

  async lookUp(ask: LookUpCache, run: { uid: string; shard: number }, signal: AbortSignal): Promise<Answer> {
    try {
      const inputs = await this.options.literals.load(ask.inputs);
      const dataset = datasetOf(ask);
      const tag = tagOf(ask, inputs);
      const hit = await withRetries(() => this.find(ask, dataset, tag), policy, signal, this.options.timing);
      if (hit) return hit;
      if (!ask.reserve) return looked(Result.MISS);
      return await withRetries(() => this.reserve(ask, run, dataset, tag), policy, signal, this.options.timing);
    } catch (thrown) {
      const error = toAloftError(thrown);
      if (signal.aborted) throw error;
      this.options.logger.warn({ err: error, task: ask.template.id?.name }, 'cache look-up failed');
      return looked(Result.FAILED);
    }
  }

  async store(ask: StoreInCache, signal: AbortSignal): Promise<Answer> {
    try {
      const [inputs, outputs] = await Promise.all([
        this.options.literals.load(ask.inputs),
        this.options.literals.load(ask.outputs),
      ]);
      const dataset = datasetOf(ask);
      const tag = tagOf(ask, inputs);
      const artifactId = await withRetries(
        () => this.put(ask, dataset, tag, outputs),
        policy,
        signal,
        this.options.timing,
      );
      const metadata = catalogMetadata(dataset, { name: tag, artifactId }, undefined);
      return { $case: 'cacheStored', value: { failed: false, metadata, reason: '' } };
    } catch (thrown) {
      const error = toAloftError(thrown);
      if (signal.aborted) throw error;
      this.options.logger.warn(
        { err: error, task: ask.template.id?.name },
        'result could not be stored in the catalog',
      );
      return { $case: 'cacheStored', value: { failed: true, metadata: undefined, reason: error.message } };
    }
  }

  /** The attempt's node is over: nothing is held for it from now on. Returns what was, if that is known. */
  over(attempt: TaskAttempt): GetOrExtendReservationRequest | undefined {
    const key = attemptKey(attempt);
    const request = this.options.reservations.giveUp(key) ?? this.ended.get(key);
    if (this.ended.size >= overKept) this.ended.delete(this.ended.keys().next().value!);
    this.ended.set(key, request);
    return request;
  }

  async release(ask: Pick<LookUpCache, 'template' | 'attempt' | 'inputs'>, signal: AbortSignal): Promise<void> {
    const request = this.over(ask.attempt);
    try {
      const reservationId = request?.reservationId ?? {
        datasetId: datasetOf(ask),
        tagName: tagOf(ask, await this.options.literals.load(ask.inputs)),
      };
      const ownerId = request?.ownerId ?? ownerOf(ask);
      await withRetries(
        () => this.options.client().releaseReservation({ reservationId, ownerId }, { signal }),
        policy,
        signal,
        this.options.timing,
      );
    } catch (error) {
      // It expires by itself within three heartbeats.
      if (!signal.aborted) this.options.logger.warn({ err: error }, 'reservation could not be released');
    }
  }

  private async find(ask: LookUpCache, dataset: DatasetID, tag: string): Promise<Answer | undefined> {
    const [metadata, found] = await Promise.all([this.metadataOf(dataset), this.artifact(dataset, tag)]);
    const artifact = found?.artifact;
    if (!artifact) return undefined;
    const { maxAgeMs, now } = this.options;
    if (maxAgeMs > 0 && artifact.createdAt && now() - toMs(artifact.createdAt) > maxAgeMs) return undefined;
    const map = outputsOf(ask, artifact.data, artifact.id);
    const uri = `${nodeDataPrefix(ask.attempt.execution!, ask.attempt.nodeId)}/cached/${ask.attempt.name}.pb`;
    return {
      $case: 'cache',
      value: {
        result: Result.HIT,
        outputs: await literalsValue(map, uri, this.options.literals),
        metadata: catalogMetadata(
          dataset,
          artifact.tags[0] ?? { name: tag, artifactId: artifact.id },
          sourceOf(ask, metadata, artifact),
        ),
        holder: '',
        retryAt: undefined,
      },
    };
  }

  private artifact(dataset: DatasetID, tag: string) {
    return absentIfNotFound(
      this.options.client().getArtifact({ dataset, queryHandle: { $case: 'tagName', value: tag } }),
    );
  }

  private async metadataOf(dataset: DatasetID): Promise<Metadata | undefined> {
    const key = [dataset.org, dataset.project, dataset.domain, dataset.name, dataset.version].join('/');
    const known = this.datasets.get(key);
    if (known) return known;
    const found = await absentIfNotFound(this.options.client().getDataset({ dataset }));
    const metadata = found?.dataset?.metadata;
    if (!metadata) return undefined;
    if (this.datasets.size >= 10_000) this.datasets.delete(this.datasets.keys().next().value!);
    this.datasets.set(key, metadata);
    return metadata;
  }

  private async reserve(
    ask: LookUpCache,
    run: { uid: string; shard: number },
    datasetId: DatasetID,
    tagName: string,
  ): Promise<Answer> {
    const { reservations, now, reservedRetryMs } = this.options;
    const client = this.options.client();
    const request = reservations.request({ datasetId, tagName }, ownerOf(ask));
    // A dataset that does not exist yet cannot be reserved in.
    await this.createDataset(ask, datasetId);
    const key = attemptKey(ask.attempt);
    if (this.ended.has(key)) return looked(Result.MISS);
    const { reservation } = await client.getOrExtendReservation(request);
    if (reservation === undefined || reservation.ownerId === request.ownerId) {
      if (this.ended.has(key))
        await client.releaseReservation({ reservationId: request.reservationId, ownerId: request.ownerId });
      else reservations.hold(key, run, request);
      return looked(Result.MISS);
    }
    const again = now() + reservedRetryMs;
    const expiry = reservation.expiresAt ? toMs(reservation.expiresAt) + 1 : again;
    return {
      $case: 'cache',
      value: {
        result: Result.RESERVED,
        outputs: undefined,
        metadata: undefined,
        holder: reservation.ownerId,
        retryAt: toTimestamp(Math.max(now(), Math.min(again, expiry))),
      },
    };
  }

  /** Returns the artifact's id. */
  private async put(ask: StoreInCache, dataset: DatasetID, tag: string, outputs: LiteralMap): Promise<string> {
    const client = this.options.client();
    const data: ArtifactData[] = Object.entries(outputs.literals).map(([name, value]) => ({ name, value }));
    const metadata = artifactMetadata(ask);
    await this.createDataset(ask, dataset);
    if (ask.overwrite) {
      const updated = await absentIfNotFound(
        client.updateArtifact({ dataset, queryHandle: { $case: 'tagName', value: tag }, data, metadata }),
      );
      if (updated) return updated.artifactId;
    }
    const id = artifactId(ask);
    await presentIfExists(
      client.createArtifact({
        artifact: { id, dataset, data, metadata, partitions: [], tags: [], createdAt: undefined },
      }),
    );
    await presentIfExists(client.addTag({ tag: { name: tag, artifactId: id, dataset } }));
    return id;
  }

  private async createDataset(ask: Pick<LookUpCache, 'template' | 'attempt'>, id: DatasetID): Promise<void> {
    await presentIfExists(
      this.options.client().createDataset({ dataset: { id, metadata: datasetMetadata(ask), partitionKeys: [] } }),
    );
  }
}

const looked = (result: Result): Answer => ({
  $case: 'cache',
  value: { result, outputs: undefined, metadata: undefined, holder: '', retryAt: undefined },
});

/** For people too: a node that waits shows it (C-98). */
function ownerOf({ attempt }: Pick<LookUpCache, 'attempt'>): string {
  const { project = '', domain = '' } = attempt.execution ?? {};
  return `${project}/${domain}/${attempt.name}/${attempt.executionUid.slice(0, 8)}`;
}

/** Derived from the attempt: storing twice makes one artifact. In the form of a UUID, as Flyte's are. */
function artifactId({ attempt }: Pick<StoreInCache, 'attempt'>): string {
  const hash = createHash('sha256')
    .update(`artifact/${attemptKey(attempt)}/${attempt.generation}`)
    .digest('hex');
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-8${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
}

/** An entry whose outputs are not those that the task declares is no hit but a fault of the catalog (as in Flyte). */
function outputsOf({ template, attempt }: LookUpCache, data: readonly ArtifactData[], id: string): LiteralMap {
  const declared = template.interface?.outputs?.variables ?? {};
  const names = Object.keys(declared);
  const given = data.map(({ name }) => name);
  if (names.length !== given.length || given.some((name) => !(name in declared))) {
    throw new AloftError(
      'DATA_LOSS',
      `artifact ${id} has the outputs ${given.join(', ') || '(none)'}, the task declares ${names.join(', ') || '(none)'}`,
    );
  }
  const literals: LiteralMap['literals'] = {};
  for (const { name, value } of data) {
    const type = typeOf(declared[name]?.type, attempt.index !== undefined);
    const mismatch = value && type ? explainLiteralMismatch(value, type) : value ? undefined : 'it has no value';
    if (!value || mismatch !== undefined)
      throw new AloftError('DATA_LOSS', `artifact ${id}, output ${name}: ${mismatch}`);
    literals[name] = value;
  }
  return { literals };
}

/** A map task declares lists of what its items give; an item's entry holds the element. */
function typeOf(declared: LiteralType | undefined, ofItem: boolean): LiteralType | undefined {
  return ofItem && declared?.type?.$case === 'collectionType' ? declared.type.value : declared;
}

async function absentIfNotFound<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof AloftError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

async function presentIfExists(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof AloftError && error.code === 'ALREADY_EXISTS')) throw error;
  }
}
