import {
  NodeExecutionClosure,
  NodeExecutionMetaData,
  type NodeExecution,
} from '@aloft/idl/flyteidl/admin/node_execution';
import { flyteUrl } from '../data-proxy/flyte-urls.js';
import type { HeldLiterals } from '../data-proxy/literal-reader.js';
import type { NameKey } from '../registry/identifiers.js';
import type { NodeExecutionRow } from './node-executions.repository.js';

/** A row as clients see it; inline literals get a URI that the data proxy resolves. */
export function toNodeExecution(execution: NameKey, row: NodeExecutionRow): NodeExecution {
  const closure = NodeExecutionClosure.decode(row.closure);
  if (!closure.outputResult && row.outputs)
    closure.outputResult = { $case: 'outputUri', value: flyteUrl(execution, row.nodeId, 'outputs') };
  return {
    id: { nodeId: row.nodeId, executionId: execution },
    inputUri: row.inputUri || (row.inputs ? flyteUrl(execution, row.nodeId, 'inputs') : ''),
    closure,
    metadata: NodeExecutionMetaData.decode(row.metadata),
  };
}

export function inputsOf(row: { inputs: Buffer | null; inputUri: string }): HeldLiterals {
  return { bytes: row.inputs, uri: row.inputUri || null };
}

/** `result`: the closure's, which holds the URI of large outputs. */
export function outputsOf(
  row: { outputs: Buffer | null },
  result: { $case: string; value: unknown } | undefined,
): HeldLiterals {
  return { bytes: row.outputs, uri: result?.$case === 'outputUri' ? (result.value as string) : null };
}
