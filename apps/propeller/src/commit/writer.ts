import type { Bus, OutgoingMessage, ParkingStore, PositionStore } from '@aloft/bus';
import type { Database } from '@aloft/database';
import type { RunsRepository } from '../runs/runs.repository.js';
import type { CommitBatch } from './batch.js';
import type { SealedCommit } from './seal.js';

export interface CommitWriterOptions {
  database: Database;
  bus: Bus;
  positions: PositionStore;
  parking: ParkingStore;
  repository: RunsRepository;
  /** For tests that stop a process at each of its awaits. */
  probe?: Probe;
}

/** Called with the name of each await; what it does not return from never happened. */
export type Probe = (point: string) => Promise<void> | void;

/** One transaction: fence and positions, log, timers, rows, outbox. */
export class CommitWriter {
  constructor(private readonly options: CommitWriterOptions) {}

  async write(sealed: SealedCommit, batch: CommitBatch): Promise<void> {
    const { database, bus, positions, parking, repository, probe } = this.options;
    await probe?.('before-preparations');
    await Promise.all(batch.preparations.map((prepare) => prepare()));
    if (sealed.moves.length === 0) return;
    const messages = [
      ...sealed.events,
      ...batch.messages.filter((message): message is OutgoingMessage => message !== undefined),
    ];
    await probe?.('before-transaction');
    await database.transaction(async (tx) => {
      // All of it leaves in one packet with COMMIT. The fence comes first, so that a stale owner waits for no lock behind it.
      positions.advance(tx, sealed.moves);
      repository.insertRuns(tx, sealed.newRuns);
      repository.appendLog(tx, sealed.log);
      repository.updateRuns(tx, sealed.updates);
      repository.writeSnapshots(tx, sealed.snapshots);
      repository.setTimers(tx, sealed.timersSet);
      repository.clearTimers(tx, sealed.timersCleared);
      repository.holdReservations(tx, sealed.held);
      repository.dropReservations(tx, sealed.dropped);
      repository.rememberAborts(tx, sealed.childAborts);
      for (const key of sealed.released) await parking.take(tx, key);
      for (const parked of sealed.parked) await parking.park(tx, parked);
      await probe?.('after-log');
      if (messages.length > 0) await bus.publish(tx, messages);
      await probe?.('before-commit');
    });
    await probe?.('after-commit');
  }
}
