import type { BlobStore } from '@aloft/blob';
import type { Database } from '@aloft/database';
import type { RunEraseServiceService } from '@aloft/idl/aloft/v1/retention';
import type { RpcClient } from '@aloft/rpc';
import { WorkLoop } from '@aloft/service';
import type { Logger } from '@aloft/telemetry';
import type { AdminConfig } from '../config.js';
import type { ExecutionControlService } from '../executions/execution-control.service.js';
import type { ExecutionsRepository } from '../executions/executions.repository.js';
import type { ProjectsService } from '../projects/projects.service.js';
import type { NameKey } from '../registry/identifiers.js';
import { ErasureWorker } from './erasure-worker.js';
import { ErasuresRepository } from './erasures.repository.js';
import { ErasuresService } from './erasures.service.js';
import { RetentionRepository } from './retention.repository.js';
import { RetentionService } from './retention.service.js';
import { RunData } from './run-data.js';
import { Sweeper } from './sweeper.js';

export interface RetentionDependencies {
  database: Database;
  executions: ExecutionsRepository;
  control: ExecutionControlService;
  projects: ProjectsService;
  blob: BlobStore;
  propeller: () => RpcClient<typeof RunEraseServiceService>;
  config: AdminConfig;
  logger: Logger;
  /** Told once a run is gone. */
  gone: (key: NameKey) => void;
}

/** Everything of retention, and what goes on by itself. */
export function createRetention({ database, executions, projects, config, logger, ...rest }: RetentionDependencies) {
  const rows = new RetentionRepository();
  const erasureRows = new ErasuresRepository();
  const data = new RunData(database, erasureRows, rest.blob, config);
  const worker = new ErasureWorker(database, erasureRows, rows, executions, data, rest.propeller, logger, rest.gone);
  const eraser = new WorkLoop(worker, { logger });
  const wake = () => eraser.wake();
  const erasures = new ErasuresService(database, erasureRows, rows, executions, worker, config, wake);
  const sweeper = new Sweeper(database, rows, rest.control, erasures, projects, config, logger, wake);
  const sweeps = new WorkLoop(sweeper, { logger, longestPauseMs: config.retention.longestPauseMs });
  return {
    erasures,
    retention: new RetentionService(database, rows, erasureRows, executions, projects, () => sweeps.wake()),
    work: {
      start: () => {
        eraser.wake();
        sweeps.wake();
      },
      stop: async () => {
        await sweeps.stop();
        await eraser.stop();
      },
    },
  };
}
