import { AloftError, alreadyExists, invalidArgument, notFound } from '@aloft/errors';
import type { Database, Queryable } from '@aloft/database';
import {
  Artifact,
  type ArtifactData,
  type DatasetID,
  type GetArtifactRequest,
  type ListArtifactsRequest,
  type ListArtifactsResponse,
  type Partition,
  type SinglePropertyFilter,
  type Tag,
  type UpdateArtifactRequest,
} from '@aloft/idl/flyteidl/datacatalog/datacatalog';
import { describeDataset, requireDatasetId, requireKeyPart } from '../datasets/dataset-id.js';
import { datasetOf, type DatasetRow } from '../datasets/datasets.repository.js';
import type { DatasetsService } from '../datasets/datasets.service.js';
import { nextToken, pageOf } from '../pagination.js';
import type { ArtifactCondition, ArtifactRow, ArtifactsRepository } from './artifacts.repository.js';

type QueryHandle = GetArtifactRequest['queryHandle'];

export class ArtifactsService {
  constructor(
    private readonly database: Database,
    private readonly artifacts: ArtifactsRepository,
    private readonly datasets: DatasetsService,
  ) {}

  /** NOT_FOUND without its dataset, ALREADY_EXISTS if the dataset has one of this id. */
  async create(artifact: Artifact | undefined): Promise<void> {
    const datasetId = requireDatasetId(artifact?.dataset, 'artifact.dataset', true);
    if (!artifact?.id) throw invalidArgument('artifact.id is empty: give it a unique id');
    requireKeyPart(artifact.id, 'artifact.id');
    const data = encodeData(artifact.data);
    const dataset = await this.datasets.find(this.database, datasetId);
    const added = await this.artifacts.insert(this.database, {
      dataset: dataset.uuid,
      id: artifact.id,
      data,
      metadata: artifact.metadata?.keyMap ?? {},
      partitions: partitionsOf(artifact.partitions, dataset),
    });
    if (!added) throw alreadyExists(`artifact ${artifact.id} of ${describeDataset(datasetId)} exists already`);
  }

  /** by id, within a dataset or not, or by a dataset's tag. */
  async get(request: GetArtifactRequest): Promise<Artifact> {
    const found = await this.find(this.database, request.dataset, request.queryHandle);
    return artifactOf(found.row, found.dataset);
  }

  /** ALREADY_EXISTS if the dataset has the tag, NOT_FOUND without artifact. */
  async addTag(tag: Tag | undefined): Promise<void> {
    const datasetId = requireDatasetId(tag?.dataset, 'tag.dataset', true);
    if (!tag?.name) throw invalidArgument('tag.name is empty: a tag needs a name');
    requireKeyPart(tag.name, 'tag.name');
    if (tag.artifactId === '')
      throw invalidArgument(`tag.artifact_id is empty: say which artifact "${tag.name}" points at`);
    const dataset = await this.datasets.find(this.database, datasetId);
    if (!(await this.artifacts.findById(this.database, tag.artifactId, dataset.uuid))) {
      throw notFound(`artifact ${tag.artifactId} of ${describeDataset(datasetId)} does not exist`);
    }
    if (!(await this.artifacts.insertTag(this.database, dataset.uuid, tag.name, tag.artifactId))) {
      throw alreadyExists(`tag ${tag.name} of ${describeDataset(datasetId)} exists already`);
    }
  }

  /** replaces data and metadata; returns the artifact's id. */
  async update(request: UpdateArtifactRequest): Promise<string> {
    const data = encodeData(request.data);
    return this.database.transaction(async (tx) => {
      const { row } = await this.find(tx, request.dataset, request.queryHandle);
      await this.artifacts.replace(tx, row, data, request.metadata?.keyMap ?? {});
      return row.id;
    });
  }

  /** */
  async list(request: ListArtifactsRequest): Promise<ListArtifactsResponse> {
    const dataset = await this.datasets.find(this.database, requireDatasetId(request.dataset, 'dataset', true));
    const page = pageOf(request.pagination);
    const conditions = (request.filter?.filters ?? []).map(artifactCondition);
    const rows = await this.artifacts.list(this.database, dataset.uuid, conditions, page);
    return { artifacts: rows.map((row) => artifactOf(row, dataset)), nextToken: nextToken(page, rows.length) };
  }

  private async find(
    db: Queryable,
    id: DatasetID | undefined,
    handle: QueryHandle,
  ): Promise<{ row: ArtifactRow; dataset: DatasetRow }> {
    if (!handle?.value)
      throw invalidArgument('query_handle is missing: name the artifact by artifact_id or by tag_name');
    const named = id !== undefined && (id.name !== '' || id.UUID !== '');
    if (handle.$case === 'tagName' || named) {
      const datasetId = requireDatasetId(id, 'dataset', true);
      const dataset = await this.datasets.find(db, datasetId);
      const row =
        handle.$case === 'tagName'
          ? await this.artifacts.findByTag(db, dataset.uuid, handle.value)
          : await this.artifacts.findById(db, handle.value, dataset.uuid);
      if (row) return { row, dataset };
      throw notFound(
        `${describeDataset(datasetId)} has no ${handle.$case === 'tagName' ? 'tag' : 'artifact'} ${handle.value}`,
      );
    }
    const row = await this.artifacts.findById(db, handle.value);
    if (!row) throw notFound(`artifact ${handle.value} does not exist`);
    const byUuid = { UUID: row.dataset, org: '', project: '', domain: '', name: '', version: '' };
    return { row, dataset: await this.datasets.find(db, byUuid) };
  }
}

function encodeData(data: readonly ArtifactData[]): Uint8Array {
  if (data.length === 0) throw invalidArgument('data is empty: an artifact holds at least one value');
  data.forEach(({ name, value }, i) => {
    if (name === '') throw invalidArgument(`data[${i}].name is empty`);
    if (!value) throw invalidArgument(`data[${i}] ("${name}") has no value`);
  });
  return Artifact.encode(Artifact.fromPartial({ data: [...data] })).finish();
}

function partitionsOf(partitions: readonly Partition[], dataset: DatasetRow): Record<string, string> {
  const given = Object.fromEntries(partitions.map(({ key, value }) => [key, value]));
  const names = partitions.map(({ key }) => key);
  const wanted = dataset.partition_keys;
  const wrong = [
    ...wanted.filter((key) => !given[key]).map((key) => `"${key}" is missing`),
    ...names.filter((key) => !wanted.includes(key)).map((key) => `"${key}" is no key of the dataset`),
    ...names.filter((key, i) => names.indexOf(key) !== i).map((key) => `"${key}" is given twice`),
  ];
  if (wrong.length > 0) {
    throw invalidArgument(
      `artifact.partitions must be exactly the dataset's keys [${wanted.join(', ')}]: ${wrong.join('; ')}`,
    );
  }
  return given;
}

function artifactOf(row: ArtifactRow, dataset: DatasetRow): Artifact {
  const { data } = Artifact.decode(row.data);
  if (data.length === 0) throw new AloftError('INTERNAL', `artifact ${row.id} has no data`);
  const { id } = datasetOf(dataset);
  return {
    id: row.id,
    dataset: id,
    data,
    metadata: { keyMap: row.metadata },
    partitions: dataset.partition_keys.map((key) => ({ key, value: row.partitions[key] ?? '' })),
    tags: row.tags.map((name) => ({ name, artifactId: row.id, dataset: id })),
    createdAt: { seconds: row.created_us / 1_000_000n, nanos: Number(row.created_us % 1_000_000n) * 1000 },
  };
}

function artifactCondition({ propertyFilter }: SinglePropertyFilter): ArtifactCondition {
  if (propertyFilter?.$case === 'tagFilter' && propertyFilter.value.property) {
    return { kind: 'tag', name: propertyFilter.value.property.value };
  }
  if (propertyFilter?.$case === 'partitionFilter' && propertyFilter.value.property) {
    return { kind: 'partition', ...propertyFilter.value.property.value };
  }
  if (propertyFilter?.$case === 'artifactFilter' && propertyFilter.value.property) {
    return { kind: 'id', id: propertyFilter.value.property.value };
  }
  throw invalidArgument('artifacts can be filtered by tag, by partition and by artifact id, and by nothing else');
}
