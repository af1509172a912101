import { expect, it } from '@jest/globals';
import { createLogger } from '@aloft/telemetry';
import { message } from '../../testing/fixture.js';
import type { Producer } from '../producer.js';
import type { Outbox, OutboxPart } from './outbox.js';
import { RelayStream } from './relay-stream.js';

const part = (first: number, count: number): OutboxPart => ({
  first: BigInt(first),
  at: 0,
  messages: Array.from({ length: count }, (_, i) => ({
    envelope: message('executions.commands', 'k', `m${first + i}`).envelope,
    bytes: new Uint8Array(8),
  })),
});

/** A stream over what a table holds: what it sends, what it says is with Kafka, and whether it gave up. */
async function relayed(head: number, rows: readonly OutboxPart[]) {
  const sent: string[] = [];
  const known: [number, number][] = [];
  let lost = false;
  const outbox = {
    read: async (_stream: unknown, after: bigint) => ({
      head: BigInt(head),
      parts: rows.filter(({ first }) => first > after),
      isAll: true,
    }),
  } as unknown as Outbox;
  const producer = {
    send: async (_stream: unknown, records: readonly { headers: Record<string, unknown> }[]) => {
      sent.push(...records.map(({ headers }) => String(headers['aloft-sequence'])));
    },
  } as unknown as Producer;
  const lease = { stream: { topic: 'executions.commands', partition: 0 }, epoch: 1n, expiresAt: new Date() };
  const stream = new RelayStream(lease, {
    outbox,
    producer,
    source: 'admin',
    log: createLogger('bus', { level: 'silent' }),
    sent: (_of, after, to) => void known.push([Number(after), Number(to)]),
    lost: () => (lost = true),
  });
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  await stream.close();
  return { sent, known, lost, all: stream.hasSent(BigInt(head)) };
}

it('sends what the table holds', async () => {
  expect(await relayed(7, [part(4, 2), part(6, 2)])).toEqual({
    sent: ['4', '5', '6', '7'],
    known: [[3, 7]],
    lost: false,
    all: true,
  });
});

it('rows whose removal was undone by a crash of Postgres hold nothing up: later ones that are gone were sent after them', async () => {
  expect(await relayed(79, [part(53, 1), part(77, 3)])).toEqual({
    sent: ['77', '78', '79'],
    known: [
      [52, 53],
      [76, 79],
    ],
    lost: false,
    all: true,
  });
  expect(await relayed(76, [part(53, 1)])).toEqual({ sent: [], known: [[52, 53]], lost: false, all: true });
});
