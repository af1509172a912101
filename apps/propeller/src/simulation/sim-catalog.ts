import { alreadyExists, notFound } from '@aloft/errors';
import type {
  Artifact,
  Dataset,
  DatasetID,
  GetOrExtendReservationRequest,
} from '@aloft/idl/flyteidl/datacatalog/datacatalog';
import type { CatalogClient } from '../requests/catalog-requests.js';
import { toMs, toTimestamp } from '../runs/clock.js';
import { epoch, type Scheduler } from './scheduler.js';
import type { SimProcess } from './sim-process.js';

interface Reservation {
  owner: string;
  heartbeatMs: number;
  /** World time. */
  expiresAt: number;
}

const missedBeats = 3;
const maxHeartbeatMs = 10_000;

/** The catalog service with the behaviours of apps/catalog: artifacts, tags, reservations that expire after three missed beats. */
export class SimCatalog {
  readonly datasets = new Map<string, Dataset>();
  readonly artifacts = new Map<string, Artifact>();
  /** Dataset and tag to artifact. */
  readonly tags = new Map<string, string>();
  readonly reservations = new Map<string, Reservation>();

  constructor(private readonly scheduler: Scheduler) {}

  /** As a process reaches it. */
  client(process: SimProcess): CatalogClient {
    const rpc =
      <Q, A>(name: string, handle: (request: Q) => A) =>
      (request: Q): Promise<A> =>
        process.call('catalog', name, () => handle(request));
    const client: Partial<CatalogClient> = {
      createDataset: rpc('createDataset', ({ dataset }) => {
        const key = keyOf(dataset!.id!);
        if (this.datasets.has(key)) throw alreadyExists(`dataset ${key}`);
        this.datasets.set(key, dataset!);
        return {};
      }),
      getDataset: rpc('getDataset', ({ dataset }) => {
        const found = this.datasets.get(keyOf(dataset!));
        if (!found) throw notFound(`dataset ${keyOf(dataset!)}`);
        return { dataset: found };
      }),
      createArtifact: rpc('createArtifact', ({ artifact }) => {
        if (!this.datasets.has(keyOf(artifact!.dataset!))) throw notFound('dataset');
        if (this.artifacts.has(artifact!.id)) throw alreadyExists(`artifact ${artifact!.id}`);
        const createdAt = toTimestamp(Math.floor(epoch + this.scheduler.time));
        this.artifacts.set(artifact!.id, { ...artifact!, createdAt });
        return {};
      }),
      getArtifact: rpc('getArtifact', ({ dataset, queryHandle }) => {
        const artifact = this.artifacts.get(this.tags.get(`${keyOf(dataset!)}#${queryHandle!.value}`) ?? '');
        if (!artifact) throw notFound(`artifact ${queryHandle!.value}`);
        return { artifact };
      }),
      addTag: rpc('addTag', ({ tag }) => {
        const key = `${keyOf(tag!.dataset!)}#${tag!.name}`;
        if (this.tags.has(key)) throw alreadyExists(`tag ${key}`);
        this.tags.set(key, tag!.artifactId);
        return {};
      }),
      updateArtifact: rpc('updateArtifact', ({ dataset, queryHandle, data, metadata }) => {
        const artifact = this.artifacts.get(this.tags.get(`${keyOf(dataset!)}#${queryHandle!.value}`) ?? '');
        if (!artifact) throw notFound('artifact');
        this.artifacts.set(artifact.id, { ...artifact, data, metadata });
        return { artifactId: artifact.id };
      }),
      getOrExtendReservation: rpc('getOrExtendReservation', (request) => ({ reservation: this.reserve(request) })),
      releaseReservation: rpc('releaseReservation', ({ reservationId, ownerId }) => {
        const key = `${keyOf(reservationId!.datasetId!)}#${reservationId!.tagName}`;
        if (this.reservations.get(key)?.owner === ownerId) this.reservations.delete(key);
        return {};
      }),
    };
    return client as CatalogClient;
  }

  private reserve({ reservationId, ownerId, heartbeatInterval }: GetOrExtendReservationRequest) {
    const key = `${keyOf(reservationId!.datasetId!)}#${reservationId!.tagName}`;
    const now = this.scheduler.time;
    let held = this.reservations.get(key);
    if (!held || held.owner === ownerId || held.expiresAt <= now) {
      const asked = heartbeatInterval ? toMs(heartbeatInterval) : maxHeartbeatMs;
      const heartbeatMs = Math.min(asked, maxHeartbeatMs);
      held = { owner: ownerId, heartbeatMs, expiresAt: now + heartbeatMs * missedBeats };
      this.reservations.set(key, held);
    }
    return {
      reservationId,
      ownerId: held.owner,
      heartbeatInterval: toTimestamp(held.heartbeatMs),
      expiresAt: toTimestamp(Math.ceil(epoch + held.expiresAt)),
      metadata: undefined,
    };
  }
}

function keyOf({ project, domain, name, version }: DatasetID): string {
  return [project, domain, name, version].join('/');
}
