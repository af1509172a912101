import { failure, nothingWritten, outcomeUris, readOutcome, type Launch, type PhaseReport } from '@aloft/backend-kit';
import type { BlobStore } from '@aloft/blob';
import { AgentError_Kind, State, type Resource } from '@aloft/idl/flyteidl/admin/agent';
import { ExecutionError_ErrorKind, TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';

const ofState: Readonly<Record<number, Phase>> = {
  [State.RETRYABLE_FAILURE]: Phase.RETRYABLE_FAILED,
  [State.PERMANENT_FAILURE]: Phase.FAILED,
  [State.PENDING]: Phase.QUEUED,
  [State.RUNNING]: Phase.RUNNING,
  [State.SUCCEEDED]: Phase.SUCCEEDED,
};

/** the phase, or what older connectors say instead. */
export function phaseOf({ phase, state }: Resource): Phase {
  return phase === Phase.UNDEFINED ? (ofState[state] ?? Phase.UNDEFINED) : phase;
}

/** What a connector says of a job, as a report. Aborted stays aborted: it is no failure of the task. */
export async function reportOf(resource: Resource, launch: Launch, blob: BlobStore): Promise<PhaseReport> {
  const phase = phaseOf(resource);
  const common = {
    ...(resource.message === '' ? {} : { reason: resource.message }),
    ...(resource.logLinks.length > 0 ? { logs: resource.logLinks } : {}),
    ...(resource.customInfo ? { customInfo: resource.customInfo } : {}),
  };
  switch (phase) {
    case Phase.SUCCEEDED:
      return { ...(await succeeded(resource, launch, blob)), ...common };
    case Phase.FAILED:
    case Phase.RETRYABLE_FAILED:
      return { ...common, ...failed(resource, phase === Phase.RETRYABLE_FAILED) };
    case Phase.UNDEFINED:
      return {
        ...common,
        ...failure({
          code: 'ConnectorAnswerUnknown',
          message: `The connector of task type "${launch.template?.type}" gave neither a phase nor a state for the job.`,
          kind: 'SYSTEM',
          retryable: true,
        }),
      };
    default:
      return { phase, ...common };
  }
}

/** Outputs that a connector gives become the attempt's outputs.pb, for whoever reads that; else the job wrote it itself. */
async function succeeded({ outputs }: Resource, launch: Launch, blob: BlobStore): Promise<PhaseReport> {
  if (outputs && Object.keys(outputs.literals).length > 0)
    await blob.put(outcomeUris(launch.outputPrefix).outputs, LiteralMap.encode(outputs).finish());
  return (await readOutcome(launch, blob)) ?? nothingWritten(launch);
}

function failed({ message, agentError }: Resource, retryable: boolean): PhaseReport {
  const origin = agentError && ExecutionError_ErrorKind[agentError.origin];
  return failure({
    code: agentError?.code || 'ConnectorTaskFailed',
    message: message || 'The connector said that the job failed, and nothing about why.',
    kind: origin === 'SYSTEM' ? 'SYSTEM' : 'USER',
    retryable: retryable || agentError?.kind === AgentError_Kind.RECOVERABLE,
  });
}
