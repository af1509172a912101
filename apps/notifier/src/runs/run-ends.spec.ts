import { envelope } from '@aloft/bus';
import { ExecutionEvents } from '@aloft/idl/aloft/v1/bus';
import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { readableEnds } from './run-ends.js';

const execution = { org: '', project: 'p', domain: 'd', name: 'run' };
const stream = { topic: 'executions.events', partition: 0 };
const message = (payload: Uint8Array) => ({
  stream,
  position: 1n,
  envelope: envelope({ id: '1', type: 'aloft.v1.ExecutionEvents', payload, execution }),
});
const told = (...phases: Phase[]) =>
  message(
    ExecutionEvents.encode(
      ExecutionEvents.fromPartial({
        events: phases.map((phase) => ({ event: { $case: 'workflow', value: { executionId: execution, phase } } })),
      }),
    ).finish(),
  );

describe('ends that messages tell of', () => {
  const running = told(Phase.QUEUED, Phase.RUNNING);
  const unreadable = message(Uint8Array.of(0x0a, 0xff));
  it.each([
    ['none', [running, running], 2, []],
    ['of one message', [running, told(Phase.RUNNING, Phase.SUCCEEDED), running], 3, ['SUCCEEDED']],
    ['of those before one that cannot be read', [told(Phase.FAILED), unreadable, told(Phase.ABORTED)], 1, ['FAILED']],
    ['none before it', [unreadable, told(Phase.ABORTED)], 0, []],
  ])('%s', (_name, messages, count, phases) => {
    const found = readableEnds(messages);
    expect([found.count, found.ends.map(({ phase }) => phase)]).toEqual([count, phases]);
  });
});
