import type { Bus, OutgoingMessage } from '@aloft/bus';
import { isUniqueViolation, type Database, type GrowingTables, type Transaction } from '@aloft/database';
import type { DescriptionsRepository, DescriptionValues } from '../descriptions/descriptions.repository.js';
import type { NamedEntitiesRepository, NewName } from '../named-entities/named-entities.repository.js';
import { GroupCommit, type Waiting } from './group-commit.js';
import { keyText, type EntityKey } from './identifiers.js';
import type { New, VersionWriter } from './versioned.repository.js';

/** A new version with all that belongs to it. */
export interface Registration<Row extends EntityKey = EntityKey> {
  /** Writes to the table of its kind. */
  versions: VersionWriter<Row>;
  row: New<Row>;
  /** There from the name's first registration on; repeats change nothing. */
  name: NewName;
  description?: DescriptionValues | undefined;
  message?: OutgoingMessage;
}

interface Pending extends Waiting, Registration {
  resolve(registered: boolean): void;
}

/**
 * Registers versions, many in one commit: clients do it thousands of times in a row. That a version is there already is rare, and found out by the
 * failure. Rows go in by their keys' order, whatever the calls' was: two writers never wait for each other in a circle.
 */
export class RegistrationWriter {
  private readonly group = new GroupCommit<Pending>((batch) => this.commit(batch));

  constructor(
    private readonly database: Database,
    private readonly names: NamedEntitiesRepository,
    private readonly descriptions: DescriptionsRepository,
    private readonly bus: Bus,
    private readonly growing: GrowingTables,
  ) {}

  /** Resolves after the commit: `false` if there is that version (nothing is written then). */
  register<Row extends EntityKey>(registration: Registration<Row>): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.group.add({ ...registration, resolve, reject });
    });
  }

  private async commit(batch: readonly Pending[]): Promise<void> {
    const ordered = [...batch].sort((a, b) => compare(placeOf(a), placeOf(b)));
    try {
      await this.database.transaction(async (tx) => {
        for (const [versions, some] of byTable(ordered)) versions.sendNew(tx, rowsOf(some));
        await this.sendRest(tx, ordered);
      });
      for (const [{ table }, some] of byTable(ordered)) this.growing.grew(table, some.length);
      for (const pending of batch) pending.resolve(true);
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      // Some are there: those that are not.
      const written = await this.writeFree(ordered);
      for (const pending of batch) pending.resolve(written.has(pending));
    }
  }

  private writeFree(ordered: readonly Pending[]): Promise<ReadonlySet<Pending>> {
    return this.database.transaction(async (tx) => {
      const written = new Set<Pending>();
      for (const [versions, some] of byTable(ordered)) {
        const inserted = new Set((await versions.insertFree(tx, rowsOf(some))).map(keyText));
        // Of several with one key, the first.
        for (const pending of some) if (inserted.delete(keyText(pending.row))) written.add(pending);
      }
      await this.sendRest(
        tx,
        ordered.filter((pending) => written.has(pending)),
      );
      return written;
    });
  }

  private async sendRest(tx: Transaction, ordered: readonly Pending[]): Promise<void> {
    if (ordered.length === 0) return;
    this.names.sendNew(
      tx,
      ordered.map(({ name }) => name),
    );
    const descriptions = ordered.flatMap(({ description }) => description ?? []);
    if (descriptions.length > 0) this.descriptions.sendNew(tx, descriptions);
    const messages = ordered.flatMap(({ message }) => message ?? []);
    if (messages.length > 0) await this.bus.publish(tx, messages);
  }
}

const rowsOf = (some: readonly Pending[]): New<EntityKey>[] => some.map(({ row }) => row);

/** Kinds apart, and by key within one. */
const placeOf = ({ versions, row }: Pending): string => `${versions.table}\n${keyText(row)}`;

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function byTable(ordered: readonly Pending[]): Map<VersionWriter, Pending[]> {
  const tables = new Map<VersionWriter, Pending[]>();
  for (const pending of ordered) {
    const some = tables.get(pending.versions);
    if (some) some.push(pending);
    else tables.set(pending.versions, [pending]);
  }
  return tables;
}
