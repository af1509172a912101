import type { HeldLease, LoadedParkingStore, OwnedStreamLeases, PositionStore, Stream } from '@aloft/bus';
import type { Transaction } from '@aloft/database';
import { invalidArgument } from '@aloft/errors';
import { topics } from '../events/outgoing.js';
import type { PropellerStorage } from '../storage.js';
import { memoryOf } from './memory-database.js';
import { MemoryRepository } from './memory-repository.js';
import { stale, type MemoryTables } from './memory-tables.js';
import type { SimProcess } from './sim-process.js';

/** What every process hears when another gave shards up, came or went. */
export type LeaseNews = Set<{ process: SimProcess; changed(): void }>;

/** The propeller's storage of one process, on tables that all share. */
export class MemoryStorage implements PropellerStorage {
  readonly repository: MemoryRepository;
  readonly positions: PositionStore;
  readonly parking: LoadedParkingStore;

  constructor(
    private readonly tables: MemoryTables,
    private readonly process: SimProcess,
    private readonly leaseMs: number,
    private readonly news: LeaseNews,
  ) {
    this.repository = new MemoryRepository(tables, process);
    this.positions = memoryPositions(tables, process);
    this.parking = memoryParking(tables, process);
  }

  leases(changed: () => void): OwnedStreamLeases {
    const { tables, process, leaseMs, news } = this;
    const { scheduler } = process;
    news.add({ process, changed });
    const now = () => scheduler.time;
    const held = new Map<string, HeldLease>();
    const hold = (rows: readonly HeldLease[]): HeldLease[] => {
      for (const lease of rows) held.set(`${lease.stream.topic}/${lease.stream.partition}`, lease);
      return [...held.values()];
    };
    const announce = () =>
      process.call('database', 'announce', () => {
        for (const other of news)
          if (other.process !== process)
            scheduler.after(process.random.next() * 5, 'news', other.changed, other.process);
      });
    return {
      owner: process.name,
      get held() {
        return [...held.values()];
      },
      session: async () => ({ pid: 0, start: process.name }),
      acquire: async (streams) =>
        hold(
          await process.call('database', 'acquire leases', () =>
            streams.flatMap((stream) => {
              const row = tables.stream(stream);
              const known = held.get(`${stream.topic}/${stream.partition}`)?.epoch ?? 0n;
              if (row.owner === process && row.epoch === known) return [];
              if (row.owner && row.owner !== process && row.owner.alive && row.expiresAt > now()) return [];
              row.owner = process;
              row.epoch += 1n;
              row.expiresAt = now() + leaseMs;
              return [tables.leaseOf(row)];
            }),
          ),
        ),
      renew: async () => {
        if (held.size === 0) return [];
        const mine = [...held.values()];
        const renewed = await process.call('database', 'renew leases', () =>
          mine.flatMap(({ stream, epoch }) => {
            const row = tables.stream(stream);
            if (row.owner !== process || row.epoch !== epoch) return [];
            row.expiresAt = now() + leaseMs;
            return [tables.leaseOf(row)];
          }),
        );
        held.clear();
        return hold(renewed);
      },
      release: async (streams: readonly Stream[]) => {
        const given = streams.flatMap(({ topic, partition }) => held.get(`${topic}/${partition}`) ?? []);
        for (const { stream } of given) held.delete(`${stream.topic}/${stream.partition}`);
        if (given.length === 0) return;
        await process.call('database', 'release leases', () => {
          for (const { stream, epoch } of given) {
            const row = tables.stream(stream);
            if (row.owner === process && row.epoch === epoch) row.owner = undefined;
          }
        });
        await announce();
      },
      announce,
      close: async () => held.clear(),
    };
  }

  members(): ReturnType<PropellerStorage['members']> {
    const { tables, process, leaseMs } = this;
    return {
      share: (streams) =>
        process.call('database', 'share', () => {
          const now = process.scheduler.time;
          tables.members.set(process, now + leaseMs);
          const heldBy = (member: SimProcess) =>
            [...tables.streams.values()].filter(
              ({ owner, stream, expiresAt }) => owner === member && stream.topic === topics.commands && expiresAt > now,
            ).length;
          const alive = [...tables.members]
            .filter(([member, expiresAt]) => member.alive && expiresAt > now)
            .map(([member]) => ({ member, held: heldBy(member) }))
            .sort((a, b) => b.held - a.held || (a.member.name < b.member.name ? -1 : 1));
          const rank = alive.findIndex(({ member }) => member === process);
          const most = Math.floor(streams / alive.length) + (rank < streams % alive.length ? 1 : 0);
          return { most, members: alive.length };
        }),
      leave: () => process.call('database', 'leave', () => void tables.members.delete(process)),
    };
  }
}

function memoryPositions(tables: MemoryTables, process: SimProcess): PositionStore {
  return {
    load: async (tx, streams) =>
      (await memoryPositions(tables, process).restore(tx, streams)).map((row) => row.position),
    restore: (_tx, streams) =>
      process.call('database', 'positions', () =>
        streams.map((stream) => ({ position: tables.stream(stream).position, mark: undefined })),
      ),
    advance: (tx, moves) => {
      const check = () => {
        for (const { stream, from, to, epoch } of moves) {
          const row = tables.stream(stream);
          const name = `${stream.topic}/${stream.partition}`;
          if (row.epoch !== epoch) throw stale(`${name} is at epoch ${row.epoch}, not ${epoch}`);
          if (row.position !== from) throw stale(`${name} is at position ${row.position}, not ${from}`);
          if (to < from) throw new Error(`simulation: ${name} would go back from ${from} to ${to}`);
        }
      };
      memoryOf(tx).demand(check);
      memoryOf(tx).atomically(() => {
        for (const { stream, to } of moves) tables.stream(stream).position = to;
      });
    },
  };
}

function memoryParking(tables: MemoryTables, process: SimProcess): LoadedParkingStore {
  const keys = new Set<string>();
  return {
    load: async (streams) => {
      const found = await process.call('database', 'parked keys', () =>
        tables.parked
          .filter(({ message }) =>
            streams.some(
              ({ topic, partition }) => topic === message.stream.topic && partition === message.stream.partition,
            ),
          )
          .map(({ message }) => message.envelope.key),
      );
      for (const key of found) keys.add(key);
    },
    isParked: (key) => keys.has(key),
    park: async (tx, parked) => {
      if (parked.message.position === null) throw invalidArgument('a message without a position cannot be parked');
      memoryOf(tx).atomically(() => tables.parked.push(parked));
      tx.afterCommit(() => keys.add(parked.message.envelope.key));
    },
    list: (limit) => process.call('database', 'list parked', () => tables.parked.slice(0, limit)),
    take: async (tx: Transaction, key: string) => {
      const isOfKey = ({ message }: { message: { envelope: { key: string } } }) => message.envelope.key === key;
      const taken = await process.call('database', 'take parked', () => tables.parked.filter(isOfKey));
      memoryOf(tx).atomically(() => (tables.parked = tables.parked.filter((each) => !isOfKey(each))));
      tx.afterCommit(() => keys.delete(key));
      return taken.sort((a, b) => (a.message.position! < b.message.position! ? -1 : 1));
    },
  };
}
