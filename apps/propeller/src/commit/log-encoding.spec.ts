import { TaskReport } from '@aloft/idl/aloft/v1/bus';
import { LogSegment, type LogEntry } from '@aloft/idl/aloft/v1/engine';
import { describe, expect, it } from '@jest/globals';
import { encodeEntry, segmentOf } from './log-encoding.js';

const time = { seconds: 1_700_000_000n, nanos: 5_000_000 };

describe('log encoding', () => {
  it('entries read back as they were, whether encoded or spliced in as received', () => {
    const report = TaskReport.fromPartial({ attempt: { nodeId: 'n0', generation: 2 }, reason: 'because' });
    const reported: LogEntry = { time, behaviourFlags: 3n, input: { input: { $case: 'taskReported', value: report } } };
    const fired: LogEntry = {
      time,
      behaviourFlags: 0n,
      input: { input: { $case: 'timerFired', value: { timer: 7n } } },
    };
    const received = { field: 2, bytes: TaskReport.encode(report).finish() };
    const segment = segmentOf([encodeEntry(reported), encodeEntry(reported, received), encodeEntry(fired)]);
    const { formatVersion, entries } = LogSegment.decode(segment);
    expect(formatVersion).toBe(1);
    expect(entries).toMatchObject([reported, reported, fired]);
    expect(encodeEntry(reported)).toEqual(encodeEntry(reported, received));
  });

  it('segments one behind the other are one segment: that is what a history object is', () => {
    const fired = (timer: bigint): LogEntry => ({
      time,
      behaviourFlags: 0n,
      input: { input: { $case: 'timerFired', value: { timer } } },
    });
    const history = Buffer.concat([segmentOf([encodeEntry(fired(1n))]), segmentOf([encodeEntry(fired(2n))])]);
    const { formatVersion, entries } = LogSegment.decode(history);
    expect(formatVersion).toBe(1);
    expect(entries).toMatchObject([fired(1n), fired(2n)]);
  });
});
