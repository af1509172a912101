import { GrpcController, type Handlers } from '@aloft/rpc';
import {
  DataProxyServiceService,
  type CreateDownloadLinkRequest,
  type CreateDownloadLinkResponse,
  type CreateDownloadLocationRequest,
  type CreateDownloadLocationResponse,
  type CreateUploadLocationRequest,
  type CreateUploadLocationResponse,
  type GetDataRequest,
  type GetDataResponse,
} from '@aloft/idl/flyteidl/service/dataproxy';
import { Inject } from '@nestjs/common';
import { DataProxyService } from './data-proxy.service.js';

@GrpcController(DataProxyServiceService)
export class DataProxyController implements Handlers<typeof DataProxyServiceService> {
  constructor(@Inject(DataProxyService) private readonly data: DataProxyService) {}

  createUploadLocation(request: CreateUploadLocationRequest): Promise<CreateUploadLocationResponse> {
    return this.data.createUploadLocation(request);
  }

  createDownloadLocation(request: CreateDownloadLocationRequest): Promise<CreateDownloadLocationResponse> {
    return this.data.createDownloadLocation(request);
  }

  createDownloadLink(request: CreateDownloadLinkRequest): Promise<CreateDownloadLinkResponse> {
    return this.data.createDownloadLink(request);
  }

  getData({ flyteUrl }: GetDataRequest): Promise<GetDataResponse> {
    return this.data.getData(flyteUrl);
  }
}
