import {
  createParkingStore,
  createPositionStore,
  createStreamLeases,
  Members,
  type LoadedParkingStore,
  type OwnedStreamLeases,
  type PositionStore,
} from '@aloft/bus';
import type { Database } from '@aloft/database';
import type { Logger } from '@aloft/telemetry';
import { topics } from './events/outgoing.js';
import { RunsRepository } from './runs/runs.repository.js';

/** Everything that the propeller keeps besides blobs: statements of its schema and of the bus's tables in it. */
export interface PropellerStorage {
  repository: RunsRepository;
  positions: PositionStore;
  parking: LoadedParkingStore;
  /** `changed`: another owner gave shards up, came or went. */
  leases(changed: () => void): OwnedStreamLeases;
  members(owner: string): Pick<Members, 'share' | 'leave'>;
}

export interface StorageOptions {
  group: string;
  leaseMs: number;
  logger: Logger;
}

/** In Postgres: the schema of `database`. */
export function postgresStorage(database: Database, { group, leaseMs, logger }: StorageOptions): PropellerStorage {
  return {
    repository: new RunsRepository(),
    positions: createPositionStore(group),
    parking: createParkingStore(database, group),
    leases: (onChanged) => createStreamLeases(database, { group, leaseMs, onChanged, logger }),
    members: (owner) => new Members(database, group, topics.commands, owner, leaseMs),
  };
}
