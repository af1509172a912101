import type { OutgoingMessage } from '@aloft/bus';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import type { LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import { executionCommand } from '../executions/commands.js';
import type { ExecutionState } from '../projection/fold-execution.js';
import type { NameKey } from '../registry/identifiers.js';
import type { EventRun } from './events.repository.js';

/** A child that a foreign engine ran is over: told to the run of ours whose node started it. */
export function childEnded(
  { key, execution, parent }: EventRun,
  { uid: executionUid, ...parentKey }: NameKey & { uid: string },
  principal: string,
): OutgoingMessage {
  const { closure } = execution.state;
  return executionCommand(`${execution.uid}:ended`, parentKey, executionUid, principal, {
    $case: 'childEnded',
    value: {
      child: key,
      childUid: execution.uid,
      parent: {
        execution: parentKey,
        executionUid,
        nodeId: parent?.nodeId ?? '',
        attempt: parent?.attempt ?? 0,
      },
      phase: closure.phase,
      outputs: outputsOf(execution.state),
      error: closure.outputResult?.$case === 'error' ? closure.outputResult.value : undefined,
    },
  });
}

function outputsOf({ outputs, outputsUri }: ExecutionState): LiteralsValue | undefined {
  if (outputs) return { value: { $case: 'inline', value: LiteralMap.decode(outputs) } };
  if (!outputsUri) return undefined;
  return { value: { $case: 'stored', value: { uri: outputsUri, size: 0n, digest: Buffer.alloc(0) } } };
}
