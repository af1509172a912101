import { alreadyExists, notFound, unavailable } from '@aloft/errors';
import {
  DataCatalogClient,
  DataCatalogService,
  type Artifact,
  type Dataset,
  type DatasetID,
} from '@aloft/idl/flyteidl/datacatalog/datacatalog';
import { createClient, type Handlers, type RpcServer } from '@aloft/rpc';
import { serveForTest } from '@aloft/rpc/testing';
import { toTimestamp } from '../runs/clock.js';
import type { CatalogClient } from '../requests/catalog-requests.js';

/** A catalog in memory behind the real gRPC interface. */
export class FakeCatalog {
  readonly datasets = new Map<string, Dataset>();
  readonly artifacts = new Map<string, Artifact>();
  /** Dataset and tag to artifact. */
  readonly tags = new Map<string, string>();
  /** Dataset and tag to owner. */
  readonly reservations = new Map<string, string>();
  readonly released: string[] = [];
  readonly calls: string[] = [];
  down = false;
  /** Awaited before a reservation is granted. */
  beforeReserve: () => Promise<void> | void = () => undefined;
  /** Somebody who is dead holds every reservation until it expires, so long after it is asked for first (milliseconds). */
  dead: { ownerId: string; forMs: number; expiresAt?: number } | undefined;

  private readonly waiters: (() => void)[] = [];

  private constructor(
    private server: RpcServer | undefined,
    readonly client: CatalogClient,
  ) {}

  static async open(): Promise<FakeCatalog> {
    const fake: { self?: FakeCatalog } = {};
    const handlers = FakeCatalog.handlers(() => fake.self!);
    const { server, address } = await serveForTest(DataCatalogService, handlers);
    fake.self = new FakeCatalog(server, createClient(DataCatalogClient, address, { safe: () => false }));
    return fake.self;
  }

  /** Resolves when so many reservations were given back. */
  async untilReleased(count: number): Promise<void> {
    while (this.released.length < count) await new Promise<void>((resolve) => this.waiters.push(resolve));
  }

  async close(): Promise<void> {
    this.client.close();
    await this.server?.close(0);
    this.server = undefined;
  }

  private static handlers(of: () => FakeCatalog): Partial<Handlers<typeof DataCatalogService>> {
    const called = (name: string): FakeCatalog => {
      const self = of();
      self.calls.push(name);
      if (self.down) throw unavailable('the catalog is down');
      return self;
    };
    return {
      createDataset: async ({ dataset }) => {
        const self = called('createDataset');
        const key = keyOf(dataset!.id!);
        if (self.datasets.has(key)) throw alreadyExists(`dataset ${key}`);
        self.datasets.set(key, dataset!);
        return {};
      },
      getDataset: async ({ dataset }) => {
        const found = called('getDataset').datasets.get(keyOf(dataset!));
        if (!found) throw notFound(`dataset ${keyOf(dataset!)}`);
        return { dataset: found };
      },
      createArtifact: async ({ artifact }) => {
        const self = called('createArtifact');
        if (!self.datasets.has(keyOf(artifact!.dataset!))) throw notFound('dataset');
        if (self.artifacts.has(artifact!.id)) throw alreadyExists(`artifact ${artifact!.id}`);
        self.artifacts.set(artifact!.id, { ...artifact!, createdAt: { seconds: 1n, nanos: 0 } });
        return {};
      },
      getArtifact: async ({ dataset, queryHandle }) => {
        const self = called('getArtifact');
        const artifact = self.artifacts.get(self.tags.get(`${keyOf(dataset!)}#${queryHandle!.value}`) ?? '');
        if (!artifact) throw notFound(`artifact ${queryHandle!.value}`);
        return { artifact };
      },
      addTag: async ({ tag }) => {
        const self = called('addTag');
        const key = `${keyOf(tag!.dataset!)}#${tag!.name}`;
        if (self.tags.has(key)) throw alreadyExists(`tag ${key}`);
        self.tags.set(key, tag!.artifactId);
        return {};
      },
      updateArtifact: async ({ dataset, queryHandle, data, metadata }) => {
        const self = called('updateArtifact');
        const id = self.tags.get(`${keyOf(dataset!)}#${queryHandle!.value}`);
        const artifact = self.artifacts.get(id ?? '');
        if (!artifact) throw notFound('artifact');
        self.artifacts.set(artifact.id, { ...artifact, data, metadata });
        return { artifactId: artifact.id };
      },
      getOrExtendReservation: async ({ reservationId, ownerId, heartbeatInterval }) => {
        const self = called('getOrExtendReservation');
        const key = `${keyOf(reservationId!.datasetId!)}#${reservationId!.tagName}`;
        await self.beforeReserve();
        const { dead } = self;
        if (dead && Date.now() < (dead.expiresAt ??= Date.now() + dead.forMs)) {
          const expiresAt = toTimestamp(dead.expiresAt);
          return {
            reservation: { reservationId, ownerId: dead.ownerId, heartbeatInterval, expiresAt, metadata: undefined },
          };
        }
        const owner = self.reservations.get(key) ?? ownerId;
        self.reservations.set(key, owner);
        return {
          reservation: { reservationId, ownerId: owner, heartbeatInterval, expiresAt: undefined, metadata: undefined },
        };
      },
      releaseReservation: async ({ reservationId, ownerId }) => {
        const self = called('releaseReservation');
        const key = `${keyOf(reservationId!.datasetId!)}#${reservationId!.tagName}`;
        if (self.reservations.get(key) === ownerId) self.reservations.delete(key);
        self.released.push(ownerId);
        for (const wake of self.waiters.splice(0)) wake();
        return {};
      },
    };
  }
}

function keyOf({ project, domain, name, version }: DatasetID): string {
  return [project, domain, name, version].join('/');
}
