import {
  arrayParameter,
  type Database,
  type Element,
  type Queryable,
  type Statement,
  type Transaction,
} from '@aloft/database';
import type { EntityManager, EntityTarget, FindOptionsWhere } from 'typeorm';
import { isFirstPage, listQuery } from '../listing/bounded-query.js';
import type { ListModel } from '../listing/list-model.js';
import { compileList, SqlParameters, type ListRequest } from '../listing/list-query.js';
import type { EntityKey, NameKey } from './identifiers.js';

/** A row that is not written yet. */
export type New<Row extends EntityKey> = EntityKey & Omit<Row, 'createdAt' | 'updatedAt'>;
type GivenType = 'text' | 'bytea' | 'smallint';

/** What a new version's row is given beside its key, and how Postgres takes it. */
export type GivenColumns<Row extends EntityKey> = Readonly<
  Record<Exclude<keyof New<Row>, keyof EntityKey> & string, GivenType>
>;

/** Writes new versions of one kind, any number with one statement. */
export interface VersionWriter<Row extends EntityKey = EntityKey> {
  readonly table: string;
  /** Versions that are thought to be new: the commit fails with ALREADY_EXISTS, and nothing is written, if one is not. */
  sendNew(tx: Transaction, rows: readonly New<Row>[]): void;
  /** Those that are not there yet; returns their keys. */
  insertFree(db: Queryable, rows: readonly New<Row>[]): Promise<EntityKey[]>;
}

/** I/O that tasks, workflows and launch plans have in common: immutable rows under (org, project, domain, name, version). */
export class VersionedRepository<Row extends EntityKey> implements VersionWriter<Row> {
  private readonly insertStatement: Statement;
  private readonly insertFreeStatement: Statement;
  private readonly existingStatement: Statement;
  /** By their texts. */
  private readonly lists = new Map<string, Statement>();
  private readonly columns: readonly (readonly [property: string, type: GivenType])[];

  constructor(
    private readonly entity: EntityTarget<Row>,
    private readonly model: ListModel,
    /** Columns that lists need, without large ones. */
    private readonly listed: readonly string[],
    given: GivenColumns<Row>,
  ) {
    this.columns = [...keyParts.map((part) => [part, 'text'] as const), ...Object.entries<GivenType>(given)];
    const names = this.columns.map(([property]) => columnOf(property)).join(', ');
    const text =
      `INSERT INTO ${model.table} (${names}) ` +
      `SELECT * FROM unnest(${this.columns.map(([, type], i) => `$${i + 1}::${type}[]`).join(', ')})`;
    this.insertStatement = { name: `admin-register-${model.table}`, text };
    this.insertFreeStatement = {
      name: `admin-register-free-${model.table}`,
      text: `${text} ON CONFLICT DO NOTHING RETURNING ${keyParts.join(', ')}`,
    };
    this.existingStatement = {
      name: `admin-registered-${model.table}`,
      text: this.ofKeys([]),
    };
  }

  /** SELECT of the keys and these columns of the versions whose keys are {@link keyParameters}. */
  protected ofKeys(columns: readonly string[]): string {
    return (
      `SELECT ${[...keyParts, ...columns].map((column) => `v.${column}`).join(', ')} ` +
      `FROM unnest(${keyParts.map((_, i) => `$${i + 1}::text[]`).join(', ')}) AS k(${keyParts.join(', ')}) ` +
      `JOIN ${this.table} v ON ${keyParts.map((part) => `v.${part} = k.${part}`).join(' AND ')}`
    );
  }

  protected keyParameters(keys: readonly EntityKey[]): string[][] {
    return keyParts.map((part) => keys.map((key) => key[part]));
  }

  get table(): string {
    return this.model.table;
  }

  sendNew(tx: Transaction, rows: readonly New<Row>[]): void {
    tx.send(this.insertStatement, this.parameters(rows));
  }

  async insertFree(db: Queryable, rows: readonly New<Row>[]): Promise<EntityKey[]> {
    return (await db.query<EntityKey>(this.insertFreeStatement, this.parameters(rows))).rows;
  }

  private prepared(text: string): Statement {
    let statement = this.lists.get(text);
    if (!statement) {
      statement = { name: `admin-list-${this.model.table}-${this.lists.size}`, text };
      this.lists.set(text, statement);
    }
    return statement;
  }

  private parameters(rows: readonly New<Row>[]): unknown[] {
    return this.columns.map(([property, type]) => {
      const values = rows.map((row) => row[property as keyof New<Row>] as Element);
      // Texts as `pg` sends them: what none may hold is refused, not mended.
      return type === 'text' ? values : arrayParameter(type, values);
    });
  }

  /** Those of these that are registered, in any order. */
  async existing(db: Queryable, keys: readonly EntityKey[]): Promise<EntityKey[]> {
    return (await db.query<EntityKey>(this.existingStatement, this.keyParameters(keys))).rows;
  }

  find(manager: EntityManager, key: EntityKey): Promise<Row | null> {
    const { org, project, domain, name, version } = key;
    return manager.findOneBy(this.entity, { org, project, domain, name, version } as FindOptionsWhere<Row>);
  }

  /**
   * Versions of one name, or of every name of a project and domain when the name is empty. RESOURCE_EXHAUSTED if filters take longer than so
   * many milliseconds.
   */
  async list(
    database: Database,
    scope: NameKey,
    request: ListRequest,
    limitMs: number,
    conditions: readonly string[] = [],
  ): Promise<{ rows: Record<string, unknown>[]; token: string }> {
    const { alias } = this.model;
    const parameters = new SqlParameters();
    const where = [
      `${alias}.org = ${parameters.add(scope.org)}`,
      `${alias}.project = ${parameters.add(scope.project)}`,
      `${alias}.domain = ${parameters.add(scope.domain)}`,
      ...(scope.name === '' ? [] : [`${alias}.name = ${parameters.add(scope.name)}`]),
      ...conditions,
    ];
    // Those without filters have few texts, and are asked for all the time.
    const plain = isFirstPage(request);
    const fixedLimit = plain && usualLengths.has(request.limit);
    const list = compileList({ model: this.model, request, parameters, where, fixedLimit });
    const columns = this.listed.map((column) => `${alias}.${column}`).join(', ');
    const text = `SELECT ${columns} ${list.tail}`;
    const statement = plain ? this.prepared(text) : text;
    const { rows } = await listQuery(database, limitMs, request, (db) =>
      db.query<Record<string, unknown>>(statement, parameters.values),
    );
    return { rows, token: list.nextToken(rows.length) };
  }
}

/** Of pages, as Flyte's tools ask for them. */
const usualLengths: ReadonlySet<number> = new Set([1, 10, 20, 25, 50, 100]);

const keyParts = ['org', 'project', 'domain', 'name', 'version'] as const;

/** `shortDescription` → `short_description`, as all columns are named. */
const columnOf = (property: string): string => property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
