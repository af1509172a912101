import {
  CacheServiceService,
  type DeleteCacheRequest,
  type DeleteCacheResponse,
  type GetCacheRequest,
  type GetCacheResponse,
  type GetOrExtendReservationRequest,
  type GetOrExtendReservationResponse,
  type PutCacheRequest,
  type PutCacheResponse,
  type ReleaseReservationRequest,
  type ReleaseReservationResponse,
} from '@aloft/idl/flyteidl/cacheservice/cacheservice';
import { GrpcController, type Handlers } from '@aloft/rpc';
import { ReservationsService } from '../reservations/reservations.service.js';
import { CacheEntriesService, requireKey } from './cache.service.js';

/** `flyteidl.cacheservice.CacheService`: the catalog by opaque key, with what DataCatalog lacks, delete. */
@GrpcController(CacheServiceService)
export class CacheController implements Handlers<typeof CacheServiceService> {
  constructor(
    private readonly entries: CacheEntriesService,
    private readonly reservations: ReservationsService,
  ) {}

  async get({ key }: GetCacheRequest): Promise<GetCacheResponse> {
    return { output: await this.entries.get(key) };
  }

  async put({ key, output, overwrite }: PutCacheRequest): Promise<PutCacheResponse> {
    await this.entries.put(key, output, overwrite);
    return {};
  }

  async delete({ key }: DeleteCacheRequest): Promise<DeleteCacheResponse> {
    await this.entries.delete(key);
    return {};
  }

  async getOrExtendReservation(request: GetOrExtendReservationRequest): Promise<GetOrExtendReservationResponse> {
    const key = requireKey(request.key);
    const held = await this.reservations.getOrExtend(`cache:${key}`, request.ownerId, request.heartbeatInterval);
    return { reservation: { key, ...held } };
  }

  async releaseReservation({ key, ownerId }: ReleaseReservationRequest): Promise<ReleaseReservationResponse> {
    await this.reservations.release(`cache:${requireKey(key)}`, ownerId);
    return {};
  }
}
