import { LogEntry, LogSegment } from '@aloft/idl/aloft/v1/engine';
import { describe, expect, it } from '@jest/globals';
import { cutSegment } from './segment-parts.js';

const entry = (timer: bigint) =>
  LogEntry.fromPartial({
    time: { seconds: timer, nanos: 0 },
    behaviourFlags: 3n,
    input: { input: { $case: 'timerFired', value: { timer } } },
  });
const segment = (first: bigint, count: number) =>
  LogSegment.encode({
    formatVersion: 1,
    entries: Array.from({ length: count }, (_, at) => entry(first + BigInt(at))),
  }).finish();
const timers = (bytes: Uint8Array) =>
  LogSegment.decode(bytes).entries.map(({ input }) =>
    input?.input?.$case === 'timerFired' ? input.input.value.timer : undefined,
  );

describe('X-3: parts of a log', () => {
  it('are cut between entries, at about the size asked for, with nothing lost', () => {
    const whole = Buffer.concat([segment(1n, 10), segment(11n, 10)]);
    const parts = [...cutSegment(whole, 1n, 1n, 40)];
    expect(parts.length).toBeGreaterThan(3);
    expect(parts.flatMap((part) => timers(part.segment))).toEqual(
      Array.from({ length: 20 }, (_, at) => BigInt(at + 1)),
    );
    let next = 1n;
    for (const { firstEntry, entries, segment: bytes } of parts) {
      expect(firstEntry).toBe(next);
      expect(LogSegment.decode(bytes)).toMatchObject({ formatVersion: 1, entries: { length: entries } });
      next += BigInt(entries);
    }
  });

  it('begin with the entry asked for', () => {
    const [part, ...more] = [...cutSegment(segment(5n, 4), 5n, 7n, 1000)];
    expect(more).toEqual([]);
    expect(part).toMatchObject({ firstEntry: 7n, entries: 2 });
    expect(timers(part!.segment)).toEqual([7n, 8n]);
    expect([...cutSegment(segment(5n, 4), 5n, 9n, 1000)]).toEqual([]);
  });

  it('keep the format of a newer version: who decodes it says so', () => {
    const newer = LogSegment.encode({ formatVersion: 9, entries: [entry(1n)] }).finish();
    expect(LogSegment.decode([...cutSegment(newer, 1n, 1n, 1000)][0]!.segment).formatVersion).toBe(9);
  });
});
