import { ExecutionClosure, ExecutionSpec, type Execution } from '@aloft/idl/flyteidl/admin/execution';
import {
  ExecutionError,
  ExecutionError_ErrorKind,
  WorkflowExecution_Phase as Phase,
} from '@aloft/idl/flyteidl/core/execution';
import { flyteUrl } from '../data-proxy/flyte-urls.js';
import { isTerminalExecution } from '../projection/phases.js';
import type { ExecutionRow } from './executions.repository.js';

/** Clients read the outputs of a run at its end node. */
export const endNode = 'end-node';
export const startNode = 'start-node';

/**
 * A row as clients see it. `outputs` only ever holds a URI: a client bug raises on `outputs.values` (flytekit.md).
 * `listedErrorLength`: in lists, error messages are cut (A-53, K-37).
 */
export function toExecution(row: ExecutionRow, listedErrorLength?: number): Execution {
  const { org, project, domain, name } = row;
  const id = { org, project, domain, name };
  const closure = ExecutionClosure.decode(row.closure);
  if (closure.phase === Phase.SUCCEEDED && (row.outputs || row.outputsUri)) {
    const uri = row.outputsUri ?? flyteUrl(id, endNode, 'outputs');
    closure.outputResult = { $case: 'outputs', value: { data: { $case: 'uri', value: uri } } };
  }
  // Not over, yet nothing goes on by itself: the only place that every client shows is the error.
  if (row.quarantineReason !== null && !closure.outputResult && !isTerminalExecution(closure.phase))
    closure.outputResult = {
      $case: 'error',
      value: ExecutionError.fromPartial({
        code: 'QUARANTINED',
        message: `The run is set aside: ${row.quarantineReason}`,
        kind: ExecutionError_ErrorKind.SYSTEM,
      }),
    };
  if (listedErrorLength !== undefined && closure.outputResult?.$case === 'error') {
    const error = closure.outputResult.value;
    closure.outputResult = {
      $case: 'error',
      value: { ...error, message: cut(error.message, listedErrorLength) },
    };
  }
  return { id, spec: ExecutionSpec.decode(row.spec), closure };
}

/** At most so many bytes of UTF-8, never half a character. */
export function cut(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return text;
  let end = maxBytes;
  while (end > 0 && ((bytes[end] as number) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end).toString();
}
