import { testDatabase, type TestDatabase } from '@aloft/database/testing';
import { CacheServiceClient, CacheServiceService, CachedOutput } from '@aloft/idl/flyteidl/cacheservice/cacheservice';
import {
  Artifact,
  DataCatalogClient,
  DataCatalogService,
  Dataset,
  DatasetID,
  PaginationOptions_SortOrder,
  SinglePropertyFilter,
} from '@aloft/idl/flyteidl/datacatalog/datacatalog';
import { Literal } from '@aloft/idl/flyteidl/core/literals';
import { createClient, type RpcClient, type RpcServer } from '@aloft/rpc';
import { serveForTest } from '@aloft/rpc/testing';
import { ArtifactsRepository } from './artifacts/artifacts.repository.js';
import { ArtifactsService } from './artifacts/artifacts.service.js';
import { CacheController } from './cache/cache.controller.js';
import { CacheEntriesService } from './cache/cache.service.js';
import { DataCatalogController } from './datacatalog.controller.js';
import { DatasetsRepository } from './datasets/datasets.repository.js';
import { DatasetsService } from './datasets/datasets.service.js';
import { catalogMigrations } from './migrations.js';
import { ReservationsService } from './reservations/reservations.service.js';

let db: TestDatabase;
let servers: RpcServer[];
let catalog: RpcClient<typeof DataCatalogService>;
let cache: RpcClient<typeof CacheServiceService>;

beforeAll(async () => {
  db = await testDatabase({ schema: 'catalog', migrations: catalogMigrations });
  const datasets = new DatasetsService(db.database, new DatasetsRepository());
  const artifacts = new ArtifactsService(db.database, new ArtifactsRepository(), datasets);
  const reservations = new ReservationsService(db.database);
  const served = [
    await serveForTest(DataCatalogService, new DataCatalogController(datasets, artifacts, reservations)),
    await serveForTest(CacheServiceService, new CacheController(new CacheEntriesService(db.database), reservations)),
  ];
  servers = served.map(({ server }) => server);
  catalog = createClient(DataCatalogClient, served[0]!.address);
  cache = createClient(CacheServiceClient, served[1]!.address);
});

afterAll(async () => {
  catalog?.close();
  cache?.close();
  await Promise.all((servers ?? []).map((server) => server.close(0)));
  await db?.drop();
});

let counter = 0;
const newId = (): DatasetID =>
  DatasetID.fromPartial({ project: 'p', domain: 'd', name: `flyte_task-t${++counter}`, version: '1-a-b' });

const literal = (value: bigint): Literal =>
  Literal.fromPartial({
    value: { $case: 'scalar', value: { value: { $case: 'primitive', value: { value: { $case: 'integer', value } } } } },
  });

const artifact = (dataset: DatasetID, id: string, value = 1n, partitions: Record<string, string> = {}): Artifact =>
  Artifact.fromPartial({
    id,
    dataset,
    data: [{ name: 'o0', value: literal(value) }],
    metadata: { keyMap: { source: 'run-1' } },
    partitions: Object.entries(partitions).map(([key, v]) => ({ key, value: v })),
  });

async function newDataset(partitionKeys: string[] = []): Promise<DatasetID> {
  const id = newId();
  await catalog.createDataset({ dataset: Dataset.fromPartial({ id, partitionKeys }) });
  return id;
}

const code = (expected: string, ...words: string[]) =>
  expect.objectContaining({
    code: expected,
    message: expect.stringMatching(new RegExp(words.map((w) => w.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[^]*'))),
  });

test('A-140, K-34: a dataset is made once and read back', async () => {
  const id = await newDataset(['day']);
  const { dataset } = await catalog.getDataset({ dataset: id });
  expect(dataset).toMatchObject({ id: { project: 'p', name: id.name, version: '1-a-b' }, partitionKeys: ['day'] });
  const byUuid = await catalog.getDataset({ dataset: DatasetID.fromPartial({ UUID: dataset!.id!.UUID }) });
  expect(byUuid.dataset).toEqual(dataset);
  await expect(catalog.createDataset({ dataset: Dataset.fromPartial({ id }) })).rejects.toEqual(
    code('ALREADY_EXISTS', id.name),
  );
  await expect(catalog.getDataset({ dataset: newId() })).rejects.toEqual(code('NOT_FOUND'));
});

test('A-140: refusals name the field', async () => {
  await expect(catalog.createDataset({ dataset: undefined })).rejects.toEqual(code('INVALID_ARGUMENT', 'dataset.id'));
  await expect(catalog.createDataset({ dataset: Dataset.fromPartial({ id: { project: 'p' } }) })).rejects.toEqual(
    code('INVALID_ARGUMENT', 'dataset.id.domain'),
  );
  await expect(
    catalog.createDataset({ dataset: Dataset.fromPartial({ id: newId(), partitionKeys: ['a', 'a'] }) }),
  ).rejects.toEqual(code('INVALID_ARGUMENT', '"a" twice'));
});

test('A-141, A-142, A-143: an artifact by id and by tag, its literals unchanged', async () => {
  const id = await newDataset();
  await catalog.createArtifact({ artifact: artifact(id, 'a1', 2n ** 62n) });
  await catalog.addTag({ tag: { name: 'flyte_cached-x', artifactId: 'a1', dataset: id } });
  const byTag = await catalog.getArtifact({ dataset: id, queryHandle: { $case: 'tagName', value: 'flyte_cached-x' } });
  expect(byTag.artifact).toMatchObject({
    id: 'a1',
    data: [{ name: 'o0', value: literal(2n ** 62n) }],
    metadata: { keyMap: { source: 'run-1' } },
    tags: [{ name: 'flyte_cached-x', artifactId: 'a1' }],
  });
  expect(byTag.artifact!.createdAt!.seconds).toBeGreaterThan(1_700_000_000n);
  const byId = await catalog.getArtifact({ dataset: undefined, queryHandle: { $case: 'artifactId', value: 'a1' } });
  expect(byId.artifact).toEqual(byTag.artifact);
});

test('K-34: missing dataset, repeated artifact and tag, unknown tag', async () => {
  const id = await newDataset();
  await expect(catalog.createArtifact({ artifact: artifact(newId(), 'b') })).rejects.toEqual(code('NOT_FOUND'));
  await catalog.createArtifact({ artifact: artifact(id, 'b') });
  await expect(catalog.createArtifact({ artifact: artifact(id, 'b') })).rejects.toEqual(code('ALREADY_EXISTS', 'b'));
  await catalog.addTag({ tag: { name: 't', artifactId: 'b', dataset: id } });
  await expect(catalog.addTag({ tag: { name: 't', artifactId: 'b', dataset: id } })).rejects.toEqual(
    code('ALREADY_EXISTS', 'tag t'),
  );
  await expect(catalog.addTag({ tag: { name: 'u', artifactId: 'none', dataset: id } })).rejects.toEqual(
    code('NOT_FOUND', 'none'),
  );
  await expect(
    catalog.getArtifact({ dataset: id, queryHandle: { $case: 'tagName', value: 'unheard' } }),
  ).rejects.toEqual(code('NOT_FOUND', 'unheard'));
  await expect(catalog.getArtifact({ dataset: id, queryHandle: undefined })).rejects.toEqual(
    code('INVALID_ARGUMENT', 'query_handle'),
  );
  await expect(catalog.createArtifact({ artifact: Artifact.fromPartial({ id: 'c', dataset: id }) })).rejects.toEqual(
    code('INVALID_ARGUMENT', 'data is empty'),
  );
});

test("A-141, Q-14: partitions are exactly the dataset's keys", async () => {
  const id = await newDataset(['day']);
  for (const wrong of [{}, { day: '' }, { day: '1', hour: '2' }] as Record<string, string>[])
    await expect(catalog.createArtifact({ artifact: artifact(id, 'x', 1n, wrong) })).rejects.toEqual(
      code('INVALID_ARGUMENT', 'artifact.partitions'),
    );
  await catalog.createArtifact({ artifact: artifact(id, 'x', 1n, { day: '1' }) });
});

test('A-144: an update replaces data and metadata', async () => {
  const id = await newDataset();
  await catalog.createArtifact({ artifact: artifact(id, 'u') });
  const { artifactId } = await catalog.updateArtifact({
    dataset: id,
    queryHandle: { $case: 'artifactId', value: 'u' },
    data: [{ name: 'o1', value: literal(9n) }],
    metadata: { keyMap: { source: 'run-2' } },
  });
  const { artifact: after } = await catalog.getArtifact({
    dataset: id,
    queryHandle: { $case: 'artifactId', value: artifactId },
  });
  expect(after).toMatchObject({
    data: [{ name: 'o1', value: literal(9n) }],
    metadata: { keyMap: { source: 'run-2' } },
  });
});

test('A-145, Q-8: pages neither repeat nor skip, and the last has no token', async () => {
  const id = await newDataset(['day']);
  for (let i = 0; i < 5; i++)
    await catalog.createArtifact({ artifact: artifact(id, `l${i}`, 1n, { day: `${i % 2}` }) });
  const seen: string[] = [];
  let token = '';
  do {
    const page = await catalog.listArtifacts({
      dataset: id,
      filter: undefined,
      pagination: { limit: 2, token, sortKey: 0, sortOrder: PaginationOptions_SortOrder.ASCENDING },
    });
    seen.push(...page.artifacts.map((a) => a.id));
    token = page.nextToken;
  } while (token !== '');
  expect(seen).toEqual(['l0', 'l1', 'l2', 'l3', 'l4']);
  const even = await catalog.listArtifacts({
    dataset: id,
    pagination: undefined,
    filter: {
      filters: [
        SinglePropertyFilter.fromPartial({
          propertyFilter: {
            $case: 'partitionFilter',
            value: { property: { $case: 'keyVal', value: { key: 'day', value: '0' } } },
          },
        }),
      ],
    },
  });
  expect(even.artifacts.map((a) => a.id)).toEqual(['l4', 'l2', 'l0']);
  await expect(
    catalog.listDatasets({ filter: undefined, pagination: { limit: 1, token: 'abc', sortKey: 0, sortOrder: 0 } }),
  ).rejects.toEqual(code('INVALID_ARGUMENT', 'abc'));
});

test('A-146, K-35: one holder at a time; an expired reservation is taken over', async () => {
  const reservationId = { datasetId: newId(), tagName: 'flyte_cached-x' };
  const heartbeatInterval = { seconds: 0n, nanos: 50_000_000 };
  const ask = (ownerId: string, interval = heartbeatInterval) =>
    catalog.getOrExtendReservation({ reservationId, ownerId, heartbeatInterval: interval });
  const first = (await ask('A')).reservation!;
  expect(first.ownerId).toBe('A');
  expect((await ask('B')).reservation!.ownerId).toBe('A');
  // B asks until the three beats have passed: no fixed wait.
  let holder = 'A';
  while (holder === 'A') holder = (await ask('B')).reservation!.ownerId;
  expect(holder).toBe('B');
  // However slow the machine, B still holds it when the next one asks.
  await ask('B', { seconds: 10n, nanos: 0 });
  await catalog.releaseReservation({ reservationId, ownerId: 'A' });
  expect((await ask('C')).reservation!.ownerId).toBe('B');
  await catalog.releaseReservation({ reservationId, ownerId: 'B' });
  expect((await ask('C')).reservation!.ownerId).toBe('C');
});

test('A-146: of many who ask at once, one holds it', async () => {
  const reservationId = { datasetId: newId(), tagName: 't' };
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      catalog.getOrExtendReservation({ reservationId, ownerId: `o${i}`, heartbeatInterval: undefined }),
    ),
  );
  expect(new Set(answers.map((a) => a.reservation!.ownerId)).size).toBe(1);
});

test('A-150: the cache by opaque key', async () => {
  const output = CachedOutput.fromPartial({ output: { $case: 'outputUri', value: 's3://aloft/x' } });
  await expect(cache.get({ key: 'k' })).rejects.toEqual(code('NOT_FOUND', 'k'));
  await cache.put({ key: 'k', output, overwrite: false });
  await expect(cache.put({ key: 'k', output, overwrite: false })).rejects.toEqual(code('ALREADY_EXISTS', 'overwrite'));
  const other = CachedOutput.fromPartial({
    output: { $case: 'outputLiterals', value: { literals: { a: literal(1n) } } },
  });
  await cache.put({ key: 'k', output: other, overwrite: true });
  expect((await cache.get({ key: 'k' })).output).toMatchObject({ output: other.output });
  await cache.delete({ key: 'k' });
  await cache.delete({ key: 'k' });
  await expect(cache.get({ key: 'k' })).rejects.toEqual(code('NOT_FOUND'));
  await expect(cache.put({ key: '', output, overwrite: false })).rejects.toEqual(code('INVALID_ARGUMENT', 'key'));
});
