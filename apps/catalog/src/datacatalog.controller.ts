import { invalidArgument } from '@aloft/errors';
import {
  DataCatalogService,
  type AddTagRequest,
  type AddTagResponse,
  type CreateArtifactRequest,
  type CreateArtifactResponse,
  type CreateDatasetRequest,
  type CreateDatasetResponse,
  type GetArtifactRequest,
  type GetArtifactResponse,
  type GetDatasetRequest,
  type GetDatasetResponse,
  type GetOrExtendReservationRequest,
  type GetOrExtendReservationResponse,
  type ListArtifactsRequest,
  type ListArtifactsResponse,
  type ListDatasetsRequest,
  type ListDatasetsResponse,
  type ReleaseReservationRequest,
  type ReleaseReservationResponse,
  type ReservationID,
  type UpdateArtifactRequest,
  type UpdateArtifactResponse,
} from '@aloft/idl/flyteidl/datacatalog/datacatalog';
import { GrpcController, type Handlers } from '@aloft/rpc';
import { ArtifactsService } from './artifacts/artifacts.service.js';
import { requireDatasetId, requireKeyPart } from './datasets/dataset-id.js';
import { DatasetsService } from './datasets/datasets.service.js';
import { ReservationsService } from './reservations/reservations.service.js';

/** `datacatalog.DataCatalog` (A-140…A-146). */
@GrpcController(DataCatalogService)
export class DataCatalogController implements Handlers<typeof DataCatalogService> {
  constructor(
    private readonly datasets: DatasetsService,
    private readonly artifacts: ArtifactsService,
    private readonly reservations: ReservationsService,
  ) {}

  async createDataset({ dataset }: CreateDatasetRequest): Promise<CreateDatasetResponse> {
    await this.datasets.create(dataset);
    return {};
  }

  async getDataset({ dataset }: GetDatasetRequest): Promise<GetDatasetResponse> {
    return { dataset: await this.datasets.get(dataset) };
  }

  listDatasets({ filter, pagination }: ListDatasetsRequest): Promise<ListDatasetsResponse> {
    return this.datasets.list(filter, pagination);
  }

  async createArtifact({ artifact }: CreateArtifactRequest): Promise<CreateArtifactResponse> {
    await this.artifacts.create(artifact);
    return {};
  }

  async getArtifact(request: GetArtifactRequest): Promise<GetArtifactResponse> {
    return { artifact: await this.artifacts.get(request) };
  }

  listArtifacts(request: ListArtifactsRequest): Promise<ListArtifactsResponse> {
    return this.artifacts.list(request);
  }

  async updateArtifact(request: UpdateArtifactRequest): Promise<UpdateArtifactResponse> {
    return { artifactId: await this.artifacts.update(request) };
  }

  async addTag({ tag }: AddTagRequest): Promise<AddTagResponse> {
    await this.artifacts.addTag(tag);
    return {};
  }

  async getOrExtendReservation(request: GetOrExtendReservationRequest): Promise<GetOrExtendReservationResponse> {
    const { reservationId, ownerId, heartbeatInterval } = request;
    const held = await this.reservations.getOrExtend(reservationKey(reservationId), ownerId, heartbeatInterval);
    return { reservation: { reservationId, metadata: undefined, ...held } };
  }

  async releaseReservation({ reservationId, ownerId }: ReleaseReservationRequest): Promise<ReleaseReservationResponse> {
    await this.reservations.release(reservationKey(reservationId), ownerId);
    return {};
  }
}

function reservationKey(id: ReservationID | undefined): string {
  const { org, project, domain, name, version } = requireDatasetId(id?.datasetId, 'reservation_id.dataset_id');
  if (!id?.tagName) throw invalidArgument('reservation_id.tag_name is empty: a reservation is of one tag of a dataset');
  requireKeyPart(id.tagName, 'reservation_id.tag_name');
  return `dataset:${JSON.stringify([org, project, domain, name, version, id.tagName])}`;
}
