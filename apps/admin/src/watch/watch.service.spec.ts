import type { Database, Transaction } from '@aloft/database';
import { WatchExecutionRequest } from '@aloft/idl/aloft/v1/watch';
import { ExecutionClosure } from '@aloft/idl/flyteidl/admin/execution';
import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { expect, test } from '@jest/globals';
import { adminConfigSchema } from '../config.js';
import type { ExecutionReader } from '../executions/execution-reader.js';
import type { ExecutionRow, ExecutionsRepository } from '../executions/executions.repository.js';
import type { NodeExecutionsRepository } from '../node-executions/node-executions.repository.js';
import type { ProjectionService } from '../projection/projection.service.js';
import type { TaskExecutionsRepository } from '../task-executions/task-executions.repository.js';
import { EventQueue } from './event-queue.js';
import type { LiveEvent, LiveEvents } from './live-events.js';
import { WatchService } from './watch.service.js';

test('a client that goes on at a process just started: what was published before its tail began is not missed', async () => {
  // The read model still has what the client has; the run's end lies between, behind this process's tail and ahead of the projection.
  let position = 4n;
  let row = rowOf(Phase.RUNNING, 2n);
  const live: Pick<LiveEvents, 'ofRun' | 'gapOf' | 'bridged'> = {
    ofRun: () => new EventQueue<LiveEvent>(10, () => undefined),
    gapOf: () => ({ stream: { topic: 'executions.events', partition: 0 }, begins: 5n }),
    bridged: () => undefined,
  };
  const tx = { query: async () => ({ rows: [{ position, mark: null }] }) } as unknown as Transaction;
  const service = new WatchService(
    { transaction: (work: (tx: Transaction) => unknown) => work(tx) } as unknown as Database,
    { find: async () => row } as unknown as ExecutionsRepository,
    { find: async () => row } as unknown as ExecutionReader,
    {} as NodeExecutionsRepository,
    {} as TaskExecutionsRepository,
    live as LiveEvents,
    { onApplied: () => () => undefined } as unknown as ProjectionService,
    adminConfigSchema.parse({}),
  );
  const request = WatchExecutionRequest.fromPartial({
    id: { project: 'p', domain: 'd', name: 'r' },
    afterSequence: 2n,
    executionOnly: true,
  });
  const first = service.watchExecution(request, new AbortController().signal).next();
  await new Promise((resolve) => setImmediate(resolve));
  position = 5n;
  row = rowOf(Phase.SUCCEEDED, 3n);
  expect((await first).value).toMatchObject({ update: { $case: 'snapshot', value: { sequence: 3n } } });
});

function rowOf(phase: Phase, lastSequence: bigint): ExecutionRow {
  return {
    id: 1n,
    uid: 'uid',
    org: '',
    project: 'p',
    domain: 'd',
    name: 'r',
    phase: Phase[phase],
    state: 0,
    spec: Buffer.alloc(0),
    closure: Buffer.from(ExecutionClosure.encode(ExecutionClosure.fromPartial({ phase })).finish()),
    outputs: null,
    outputsUri: null,
    lastSequence,
    quarantineReason: null,
  } as ExecutionRow;
}
