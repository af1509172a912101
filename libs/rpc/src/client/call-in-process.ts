import { currentTrace } from '@aloft/telemetry';
import { currentCall } from '../call-context.js';
import type { MethodDefinition } from '../definition.js';
import type { Dispatcher } from '../server/call-pipeline.js';
import type { CallOptions } from './create-client.js';

const never = new AbortController().signal;

/**
 * One unary rpc of a server in this process, without a network: principal, authorisation, errors and metrics are the same as of any
 * other caller, and trace context and deadline travel on as they do with a client. The deadline is told, not kept: nothing between
 * the two can hang. Rejects with {@link AloftError}.
 */
export async function callInProcess<Q, R>(
  dispatcher: Dispatcher,
  method: MethodDefinition<Q, R>,
  request: Q,
  options: CallOptions = {},
): Promise<R> {
  const trace = currentTrace();
  const headers: Record<string, string | undefined> = {
    traceparent: trace?.traceparent,
    tracestate: trace?.tracestate,
    ...options.metadata,
  };
  const deadline = Math.min(Date.now() + (options.deadlineMs ?? 30_000), currentCall()?.deadline ?? Infinity);
  const response = await dispatcher.unary(method.path, method.requestSerialize(request), {
    peer: 'in-process',
    deadline,
    signal: options.signal ?? never,
    header: (name) => headers[name],
  });
  return method.responseDeserialize(Buffer.from(response));
}
