import type { BlobStore } from '@aloft/blob';
import type { Bus } from '@aloft/bus';
import type { Database } from '@aloft/database';
import { RunLogServiceService } from '@aloft/idl/aloft/v1/history';
import { ResultEraseServiceClient, RunEraseServiceService } from '@aloft/idl/aloft/v1/retention';
import { DataCatalogClient } from '@aloft/idl/flyteidl/datacatalog/datacatalog';
import { AdminServiceClient } from '@aloft/idl/flyteidl/service/admin';
import { createClient, type ServiceDefinition } from '@aloft/rpc';
import type { Logger, Metrics } from '@aloft/telemetry';
import { Module, type DynamicModule } from '@nestjs/common';
import type { PropellerConfig } from './config.js';
import type { HostsHere } from './launch/routing.js';
import { RunEraseController } from './erase/run-erase.controller.js';
import { RunEraseRepository } from './erase/run-erase.repository.js';
import { RunEraseService } from './erase/run-erase.service.js';
import { RunLogController } from './history/run-log.controller.js';
import { RunLogRepository } from './history/run-log.repository.js';
import { RunLogService } from './history/run-log.service.js';
import { Propeller } from './propeller.js';
import { PropellerService } from './propeller.service.js';

export interface PropellerDependencies {
  /** On the schema `propeller`, migrated with `propellerMigrations` and the bus's `busMigrations`. */
  database: Database;
  bus: Bus;
  blob: BlobStore;
  /** gRPC targets of AdminService and of DataCatalog (see `createClient`); read when the first call is made. */
  adminAddress: () => string;
  catalogAddress: () => string;
  config: PropellerConfig;
  logger: Logger;
  metrics?: Metrics;
  /** Where backend hosts are in this process. */
  hosts?: HostsHere;
}

/** The propeller decides itself what is tried again, and for how long. A node waits for admin; nothing waits long for the catalog. */
const adminCalls = { safe: () => false, deadlineMs: 15_000, waitForReady: true };
const catalogCalls = { safe: () => false, deadlineMs: 5_000 };
const reachableMs = 1_500;

/** What the propeller serves over gRPC, to other services. */
export const propellerServices: readonly ServiceDefinition[] = [RunLogServiceService, RunEraseServiceService];

/** {@link PropellerService} starts and stops its consuming in the order its process wants. */
@Module({})
export class PropellerModule {
  static register(dependencies: PropellerDependencies): DynamicModule {
    const admin = lazily(() => createClient(AdminServiceClient, dependencies.adminAddress(), adminCalls));
    const catalog = lazily(() => createClient(DataCatalogClient, dependencies.catalogAddress(), catalogCalls));
    const results = lazily(() =>
      createClient(ResultEraseServiceClient, dependencies.catalogAddress(), { safe: () => true, deadlineMs: 60_000 }),
    );
    const propeller = new Propeller({ ...dependencies, admin: admin.get, catalog: catalog.get });
    const service = new PropellerService(
      propeller,
      { admin: () => admin.get().ready(reachableMs), catalog: () => catalog.get().ready(reachableMs) },
      () => {
        admin.made?.close();
        catalog.made?.close();
        results.made?.close();
      },
    );
    const { database, blob, config } = dependencies;
    const repository = new RunLogRepository();
    const logOptions = { database, blob, repository, maxHistoryBytes: config.limits.historyBytes };
    const erase = new RunEraseService({
      database,
      blob,
      repository: new RunEraseRepository(),
      catalog: results.get,
      maxHistoryBytes: config.limits.historyBytes,
      maxClosureBytes: config.limits.closureBytes,
    });
    return {
      module: PropellerModule,
      controllers: [RunLogController, RunEraseController],
      providers: [
        { provide: PropellerService, useValue: service },
        { provide: RunEraseService, useValue: erase },
        { provide: RunLogService, useValue: new RunLogService(logOptions) },
      ],
      exports: [PropellerService],
    };
  }
}

function lazily<T>(make: () => T): { get: () => T; readonly made: T | undefined } {
  let made: T | undefined;
  return {
    get: () => (made ??= make()),
    get made() {
      return made;
    },
  };
}
