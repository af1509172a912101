import { envelope } from '@aloft/bus';
import { ExecutionEvents } from '@aloft/idl/aloft/v1/bus';
import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { endless } from './run-ends.js';

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

describe('messages before the first that ends a run', () => {
  const running = told(Phase.QUEUED, Phase.RUNNING);
  it.each([
    ['all, if none does', [running, running], 2],
    ['those before it', [running, told(Phase.RUNNING, Phase.SUCCEEDED), running], 1],
    ['none, if it is the first', [told(Phase.FAILED)], 0],
    ['those before one that cannot be read', [running, message(Uint8Array.of(0x0a, 0xff))], 1],
  ])('are %s', (_name, messages, count) => expect(endless(messages)).toBe(count));
});
