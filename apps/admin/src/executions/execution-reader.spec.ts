import type { Database } from '@aloft/database';
import type { NameKey } from '../registry/identifiers.js';
import { ExecutionReader } from './execution-reader.js';
import type { ExecutionRow, ExecutionsRepository } from './executions.repository.js';

const key = (name: string): NameKey => ({ org: '', project: 'p', domain: 'd', name });

/** Statements that are answered when the test says so. */
function reader() {
  const statements: { names: string[]; answer(error?: Error): Promise<void> }[] = [];
  const executions = {
    findAll: (_db: unknown, keys: readonly NameKey[]) =>
      new Promise<ExecutionRow[]>((resolve, reject) =>
        statements.push({
          names: keys.map(({ name }) => name),
          answer: async (error) => {
            if (error) reject(error);
            else resolve(keys.filter(({ name }) => name !== 'none').map((found) => found as ExecutionRow));
            await new Promise((next) => setImmediate(next));
          },
        }),
      ),
  };
  return {
    statements,
    executions: new ExecutionReader({} as Database, executions as unknown as ExecutionsRepository),
  };
}

describe('reads of single executions', () => {
  it('a lone one waits for nothing; those that come meanwhile share the next statement', async () => {
    const { statements, executions } = reader();
    const first = executions.find(key('a'));
    const others = ['b', 'none', 'b'].map((name) => executions.find(key(name)));
    expect(statements.map(({ names }) => names)).toEqual([['a']]);
    await statements[0]!.answer();
    expect(await first).toMatchObject({ name: 'a' });
    expect(statements.map(({ names }) => names)).toEqual([['a'], ['b', 'none']]);
    await statements[1]!.answer();
    expect((await Promise.all(others)).map((row) => row?.name)).toEqual(['b', undefined, 'b']);
  });

  it('who asks while a row is being read gets what is there afterwards: the read begins after the question', async () => {
    const { statements, executions } = reader();
    void executions.find(key('a'));
    const again = executions.find(key('a'));
    await statements[0]!.answer();
    expect(statements).toHaveLength(2);
    await statements[1]!.answer();
    expect(await again).toMatchObject({ name: 'a' });
  });

  it('a failure is everybody’s who waits for that statement, and nobody else’s', async () => {
    const { statements, executions } = reader();
    const failing = executions.find(key('a'));
    const next = executions.find(key('b'));
    await Promise.all([expect(failing).rejects.toThrow('gone'), statements[0]!.answer(new Error('gone'))]);
    await statements[1]!.answer();
    expect(await next).toMatchObject({ name: 'b' });
  });
});
