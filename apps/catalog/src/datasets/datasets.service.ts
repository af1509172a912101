import { alreadyExists, invalidArgument, notFound } from '@aloft/errors';
import type { Database, Queryable } from '@aloft/database';
import type {
  Dataset,
  DatasetID,
  FilterExpression,
  ListDatasetsResponse,
  PaginationOptions,
  SinglePropertyFilter,
} from '@aloft/idl/flyteidl/datacatalog/datacatalog';
import { nextToken, pageOf } from '../pagination.js';
import { describeDataset, requireDatasetId } from './dataset-id.js';
import { datasetOf, type DatasetCondition, type DatasetRow, type DatasetsRepository } from './datasets.repository.js';

export class DatasetsService {
  constructor(
    private readonly database: Database,
    private readonly datasets: DatasetsRepository,
  ) {}

  /** ALREADY_EXISTS if there is one of the same project, domain, name and version. */
  async create(dataset: Dataset | undefined): Promise<void> {
    const id = requireDatasetId(dataset?.id, 'dataset.id');
    const keys = dataset?.partitionKeys ?? [];
    const repeated = keys.find((key, i) => keys.indexOf(key) !== i);
    if (repeated !== undefined) {
      throw invalidArgument(
        `dataset.partitionKeys names "${repeated}" twice: partition keys are unique within a dataset`,
      );
    }
    if (keys.includes('')) throw invalidArgument('dataset.partitionKeys holds an empty key');
    const added = await this.datasets.insert(this.database, id, keys, dataset?.metadata?.keyMap ?? {});
    if (!added) throw alreadyExists(`${describeDataset(id)} exists already`);
  }

  async get(id: DatasetID | undefined): Promise<Dataset> {
    return datasetOf(await this.find(this.database, requireDatasetId(id, 'dataset', true)));
  }

  /** NOT_FOUND if there is none. */
  async find(db: Queryable, id: DatasetID): Promise<DatasetRow> {
    const row = await this.datasets.find(db, id);
    if (!row) throw notFound(`${describeDataset(id)} does not exist`);
    return row;
  }

  async list(
    filter: FilterExpression | undefined,
    options: PaginationOptions | undefined,
  ): Promise<ListDatasetsResponse> {
    const page = pageOf(options);
    const rows = await this.datasets.list(this.database, (filter?.filters ?? []).map(datasetCondition), page);
    return { datasets: rows.map(datasetOf), nextToken: nextToken(page, rows.length) };
  }
}

function datasetCondition({ propertyFilter }: SinglePropertyFilter): DatasetCondition {
  const property = propertyFilter?.$case === 'datasetFilter' ? propertyFilter.value.property : undefined;
  if (!property) {
    throw invalidArgument('datasets can be filtered by project, domain, name, version and org, and by nothing else');
  }
  return [property.$case, property.value];
}
