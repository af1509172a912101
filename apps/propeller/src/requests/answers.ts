import type { AloftError } from '@aloft/errors';
import type { LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import type { RequestAnswered } from '@aloft/idl/aloft/v1/engine';
import { ExecutionError_ErrorKind } from '@aloft/idl/flyteidl/core/execution';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { maxInlineBytes } from '../commit/applier.js';
import type { LiteralStore } from '../commit/literal-store.js';
import { toTimestamp } from '../runs/clock.js';

export type Answer = NonNullable<RequestAnswered['answer']>;

/** A request that cannot be fulfilled, and whose fault that is. */
export class RequestFailed extends Error {
  constructor(
    readonly code: string,
    readonly kind: ExecutionError_ErrorKind,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export const userFault = (code: string, error: AloftError): RequestFailed =>
  new RequestFailed(code, ExecutionError_ErrorKind.USER, error.message, { cause: error });

export const systemFault = (code: string, error: AloftError): RequestFailed =>
  new RequestFailed(code, ExecutionError_ErrorKind.SYSTEM, error.message, { cause: error });

export function failedAnswer(failure: RequestFailed, nowMs: number): Answer {
  const { code, kind, message } = failure;
  return {
    $case: 'error',
    value: { code, message, errorUri: '', kind, timestamp: toTimestamp(nowMs), worker: '' },
  };
}

/** By value when small, else written to `uri` first. */
export async function literalsValue(map: LiteralMap, uri: string, literals: LiteralStore): Promise<LiteralsValue> {
  if (LiteralMap.encode(map).finish().length <= maxInlineBytes) return { value: { $case: 'inline', value: map } };
  return literals.store(map, uri);
}
