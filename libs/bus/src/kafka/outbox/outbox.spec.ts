import { expect, it, jest } from '@jest/globals';
import type { Database, Transaction } from '@aloft/database';
import { Outbox } from './outbox.js';

it('a connection that is lost while rows are removed is one error, and none that nobody hears', async () => {
  const answers: Promise<never>[] = [];
  const tx = {
    query: () => {
      const answer = Promise.reject<never>(new Error('connection lost'));
      jest.spyOn(answer, 'then');
      answers.push(answer);
      return answer;
    },
  } as unknown as Transaction;
  const database = { transaction: (work: (tx: Transaction) => unknown) => work(tx) } as unknown as Database;
  const sent = [{ stream: { topic: 'executions.events', partition: 0 }, after: 0n, to: 5n }];
  await expect(new Outbox(database).remove(sent)).rejects.toThrow('connection lost');
  // An unhandled rejection ends the process.
  for (const answer of answers) expect(answer.then).toHaveBeenCalled();
});
