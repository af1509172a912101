import { Column, type DataSource, Entity, PrimaryColumn } from 'typeorm';
import { testDatabase, type TestDatabase } from './testing/index.js';
import { createDataSource, inTransaction } from './typeorm.js';

@Entity('projects')
class Project {
  @PrimaryColumn('text')
  id!: string;

  @Column('text')
  name!: string;
}

describe('TypeORM', () => {
  let test: TestDatabase;
  let source: DataSource;
  beforeAll(async () => {
    const sql = `CREATE TABLE projects (id text PRIMARY KEY, name text NOT NULL);
                 CREATE TABLE log (n serial PRIMARY KEY, entry text NOT NULL)`;
    test = await testDatabase({ schema: 'registry', migrations: [{ name: 'projects', sql }] });
    source = await createDataSource(test.database, { entities: [Project] });
  });
  afterAll(async () => {
    await source.destroy();
    await test.drop();
  });

  it('commits entities, hand-written SQL and what travels with the commit together, then runs the effects', async () => {
    const seen: unknown[] = [];
    const saved = await inTransaction(source, async (manager, tx) => {
      tx.withCommit(() => ({
        sql: 'INSERT INTO log (entry) VALUES ($1) RETURNING entry',
        values: ['last'],
        committed: ({ rows }) => seen.push(rows),
      }));
      tx.afterCommit(() => seen.push('committed'));
      const project = await manager.save(Project, { id: 'aloft', name: 'Aloft' });
      await tx.query('INSERT INTO log (entry) VALUES ($1)', ['first']);
      expect(seen).toEqual([]);
      return project;
    });
    expect(saved).toMatchObject({ id: 'aloft' });
    expect(seen).toEqual([[{ entry: 'last' }], 'committed']);
    expect(await source.getRepository(Project).count()).toBe(1);
    expect((await test.database.query('SELECT entry FROM log ORDER BY n')).rows).toEqual([
      { entry: 'first' },
      { entry: 'last' },
    ]);
  });

  it('fails reads, too, with the codes that clients act upon', async () => {
    const away = `DO $$ BEGIN RAISE EXCEPTION 'in recovery mode' USING ERRCODE = '57P03'; END $$`;
    await expect(source.manager.query(away)).rejects.toMatchObject({ code: 'UNAVAILABLE', sqlState: '57P03' });
    const terminated = source.manager.query('SELECT pg_terminate_backend(pg_backend_pid())');
    await expect(terminated).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('a server that is not there is UNAVAILABLE to finders', async () => {
    const broken = await createDataSource(test.database, { entities: [Project], poolSize: 1 });
    const pool = (broken.driver as unknown as { master: { options: Record<string, unknown> } }).master;
    await broken.manager.query('SELECT 1');
    Object.assign(pool.options, { connectionString: undefined, host: '127.0.0.1', port: 1 });
    await expect(broken.manager.query('SELECT pg_terminate_backend(pg_backend_pid())')).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    await expect(broken.getRepository(Project).findOneBy({ id: 'x' })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await broken.destroy();
  });

  it('rolls everything back when the work fails, or a statement of the commit does', async () => {
    const before = await source.getRepository(Project).count();
    const failing = inTransaction(source, async (manager) => {
      await manager.insert(Project, { id: 'lost', name: 'Lost' });
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    const refused = inTransaction(source, async (manager, tx) => {
      await manager.insert(Project, { id: 'lost', name: 'Lost' });
      tx.withCommit(() => ({ sql: 'SELECT 1 / 0', values: [], committed: () => expect('committed').toBe('never') }));
    });
    await expect(refused).rejects.toMatchObject({ sqlState: '22012' });
    expect(await source.getRepository(Project).count()).toBe(before);
  });

  it("types TypeORM's own errors", async () => {
    await source.getRepository(Project).save({ id: 'twice', name: 'Once' });
    const twice = inTransaction(source, (manager) => manager.insert(Project, { id: 'twice', name: 'Twice' }));
    await expect(twice).rejects.toMatchObject({ code: 'ALREADY_EXISTS', constraint: 'projects_pkey' });
  });
});
