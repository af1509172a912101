import { launchOf, errorOf } from '@aloft/backend-kit/testing';
import { createLocalBlobStore } from '@aloft/blob';
import { AgentError_Kind, Resource, State } from '@aloft/idl/flyteidl/admin/agent';
import { ExecutionError_ErrorKind as Kind, TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { phaseOf, reportOf } from './resource.js';

const dir = mkdtempSync(join(tmpdir(), 'aloft-resource-'));
afterAll(() => rmSync(dir, { recursive: true }));

const blob = createLocalBlobStore({ dir, durable: false });
const report = (resource: Parameters<typeof Resource.fromPartial>[0]) =>
  reportOf(Resource.fromPartial(resource), launchOf({ name: 'run1-n0-0', type: 'remote' }), blob);

describe('A-164: what a connector says of a job', () => {
  it.each<[Phase, Phase]>([
    [Phase.QUEUED, Phase.QUEUED],
    [Phase.WAITING_FOR_RESOURCES, Phase.WAITING_FOR_RESOURCES],
    [Phase.INITIALIZING, Phase.INITIALIZING],
    [Phase.RUNNING, Phase.RUNNING],
    [Phase.SUCCEEDED, Phase.SUCCEEDED],
    // #5566: Flyte shows it as failed.
    [Phase.ABORTED, Phase.ABORTED],
    [Phase.FAILED, Phase.FAILED],
    [Phase.RETRYABLE_FAILED, Phase.RETRYABLE_FAILED],
  ])('phase %#', async (phase, expected) => {
    expect((await report({ phase })).phase).toBe(expected);
  });

  it.each<[State, Phase]>([
    [State.PENDING, Phase.QUEUED],
    [State.RUNNING, Phase.RUNNING],
    [State.SUCCEEDED, Phase.SUCCEEDED],
    [State.RETRYABLE_FAILURE, Phase.RETRYABLE_FAILED],
    [State.PERMANENT_FAILURE, Phase.FAILED],
  ])('state %#, of connectors from before there were phases', async (state, expected) => {
    expect((await report({ state })).phase).toBe(expected);
  });

  it('the phase counts where there are both', () => {
    expect(phaseOf(Resource.fromPartial({ phase: Phase.RUNNING, state: State.PERMANENT_FAILURE }))).toBe(Phase.RUNNING);
  });

  it('a state that is none: the system’s failure, worth another attempt', async () => {
    const end = await report({ state: 77 as State });
    expect(end.phase).toBe(Phase.RETRYABLE_FAILED);
    expect(errorOf(end)).toMatchObject({ code: 'ConnectorAnswerUnknown', kind: Kind.SYSTEM });
  });

  it('an error tells code, origin and whether another attempt is worth it', async () => {
    const agentError = { code: 'QuotaExceeded', kind: AgentError_Kind.RECOVERABLE, origin: Kind.SYSTEM };
    const end = await report({ phase: Phase.FAILED, message: 'no slots', agentError });
    expect(end.phase).toBe(Phase.RETRYABLE_FAILED);
    expect(errorOf(end)).toMatchObject({ code: 'QuotaExceeded', message: 'no slots', kind: Kind.SYSTEM });
    expect(errorOf(await report({ phase: Phase.FAILED }))).toMatchObject({
      code: 'ConnectorTaskFailed',
      kind: Kind.USER,
    });
  });
});
