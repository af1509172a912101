import type { Database } from '@aloft/database';
import { ResultEraseServiceService } from '@aloft/idl/aloft/v1/retention';
import { CacheServiceService } from '@aloft/idl/flyteidl/cacheservice/cacheservice';
import { DataCatalogService } from '@aloft/idl/flyteidl/datacatalog/datacatalog';
import type { ServiceDefinition } from '@aloft/rpc';
import { Module, type DynamicModule } from '@nestjs/common';
import { ArtifactsRepository } from './artifacts/artifacts.repository.js';
import { ArtifactsService } from './artifacts/artifacts.service.js';
import { ResultEraseController } from './artifacts/result-erase.controller.js';
import { ResultEraseService } from './artifacts/result-erase.service.js';
import { CacheController } from './cache/cache.controller.js';
import { CacheEntriesService } from './cache/cache.service.js';
import { DataCatalogController } from './datacatalog.controller.js';
import { DatasetsRepository } from './datasets/datasets.repository.js';
import { DatasetsService } from './datasets/datasets.service.js';
import { ReservationsService } from './reservations/reservations.service.js';

export interface CatalogDependencies {
  /** On the catalog's own schema, migrated with `catalogMigrations`. */
  database: Database;
}

/** What the catalog serves over gRPC. */
export const catalogServices: readonly ServiceDefinition[] = [
  DataCatalogService,
  CacheServiceService,
  ResultEraseServiceService,
];

@Module({})
export class CatalogModule {
  static register({ database }: CatalogDependencies): DynamicModule {
    const datasets = new DatasetsService(database, new DatasetsRepository());
    return {
      module: CatalogModule,
      controllers: [DataCatalogController, CacheController, ResultEraseController],
      providers: [
        { provide: DatasetsService, useValue: datasets },
        { provide: ArtifactsService, useValue: new ArtifactsService(database, new ArtifactsRepository(), datasets) },
        { provide: ReservationsService, useValue: new ReservationsService(database) },
        { provide: ResultEraseService, useValue: new ResultEraseService(database) },
        { provide: CacheEntriesService, useValue: new CacheEntriesService(database) },
      ],
    };
  }
}
