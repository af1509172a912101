import { maxMessageBytes, shardOf } from '@aloft/bus';
import { Envelope, ExecutionCommand, ExecutionEvent, ExecutionEvents, StartExecution } from '@aloft/idl/aloft/v1/bus';
import { WorkflowExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { describe, expect, it } from '@jest/globals';
import { fitEvent } from './fit-event.js';
import { childEnded, eventMessages } from './outgoing.js';
import type { RunIdentity } from './run-identity.js';

const run: RunIdentity = {
  uid: '11111111-2222-3333-4444-555555555555',
  id: { org: '', project: 'p', domain: 'd', name: 'run' },
  key: '/p/d/run',
  shard: 5,
  traceparent: '00-a',
  trace: { traceparent: '00-a' },
  tracestate: '',
  principal: 'me',
  start: StartExecution.create(),
};
const time = { seconds: 1n, nanos: 0 };

const event = (sequence: bigint, bytes: number) => ({
  sequence,
  bytes: ExecutionEvent.encode(
    ExecutionEvent.fromPartial({ sequence, event: { $case: 'quarantined', value: { reason: 'x'.repeat(bytes) } } }),
  ).finish(),
});

describe('outgoing messages', () => {
  it('events of one commit travel together, split only where a message would be too large', () => {
    const events = Array.from({ length: 30 }, (_, i) => event(BigInt(i + 1), 20_000));
    const messages = eventMessages(run, events, time);
    expect(messages).toHaveLength(3);
    for (const { envelope } of messages)
      expect(Envelope.encode(envelope).finish().length).toBeLessThanOrEqual(maxMessageBytes);
    const all = messages.flatMap(({ envelope }) => ExecutionEvents.decode(envelope.payload).events);
    expect(all.map(({ sequence }) => sequence)).toEqual(events.map(({ sequence }) => sequence));
    expect(messages[0]!.envelope).toMatchObject({ id: `${run.uid}:event:1`, key: run.key, shard: 5, principal: 'me' });
  });

  it('an event that fits in no message loses the closure that lies elsewhere too (A-2, C-153)', () => {
    const big = ExecutionEvent.fromPartial({
      sequence: 1n,
      event: {
        $case: 'node',
        value: {
          specNodeId: 'n0',
          targetMetadata: {
            $case: 'taskNodeMetadata',
            value: {
              dynamicWorkflow: {
                dynamicJobSpecUri: 's3://aloft/closure.pb',
                compiledWorkflow: { primary: { template: { id: { name: 'x'.repeat(300_000) } } } },
              },
            },
          },
        },
      },
    });
    const kept = ExecutionEvent.decode(fitEvent(big).bytes);
    expect(kept).toMatchObject({
      event: {
        value: { targetMetadata: { value: { dynamicWorkflow: { dynamicJobSpecUri: 's3://aloft/closure.pb' } } } },
      },
    });
    expect(() =>
      fitEvent(ExecutionEvent.fromPartial({ event: { $case: 'quarantined', value: { reason: 'x'.repeat(300_000) } } })),
    ).toThrow(/300\d{3} bytes, a message takes/);
  });

  it('a child’s end goes to its parent’s stream', () => {
    const parent = {
      execution: { org: '', project: 'p', domain: 'd', name: 'parent' },
      executionUid: 'u',
      nodeId: 'n0',
      attempt: 0,
    };
    const { topic, envelope } = childEnded(
      run,
      {
        child: run.id,
        childUid: run.uid,
        parent,
        phase: WorkflowExecution_Phase.SUCCEEDED,
        outputs: undefined,
        error: undefined,
      },
      time,
    );
    expect(topic).toBe('executions.commands');
    expect(envelope).toMatchObject({ key: '/p/d/parent', executionUid: 'u', shard: shardOf('/p/d/parent') });
    expect(ExecutionCommand.decode(envelope.payload).command).toMatchObject({
      $case: 'childEnded',
      value: { childUid: run.uid },
    });
  });
});
