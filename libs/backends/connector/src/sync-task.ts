import { AloftError, codeOfGrpcStatus, internal } from '@aloft/errors';
import type { CreateTaskRequest, Resource } from '@aloft/idl/flyteidl/admin/agent';
import { Metadata, type ServiceError } from '@grpc/grpc-js';
import type { Connection } from './connection.js';

/**
 * Executes a task within one call: a header, then the inputs; the answer's header is the result. Outputs that come in messages of their own
 * behind it are taken, too.
 */
export function executeSync(
  { sync, server }: Connection,
  request: CreateTaskRequest,
  signal: AbortSignal,
  maxBytes: number,
): Promise<Resource> {
  return new Promise((resolve, reject) => {
    const metadata = new Metadata();
    for (const [key, value] of Object.entries(server.metadata?.() ?? {})) metadata.set(key, value);
    const call = sync.executeTaskSync(metadata, { deadline: Date.now() + server.timeoutsMs.sync });
    let resource: Resource | undefined;
    const cancel = () => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    call.on('data', ({ res }) => {
      if (res?.$case === 'header') resource = res.value.resource;
      else if (res?.$case === 'outputs' && resource)
        resource = { ...resource, outputs: { literals: { ...resource.outputs?.literals, ...res.value.literals } } };
    });
    call.on('error', (error: ServiceError) => {
      signal.removeEventListener('abort', cancel);
      reject(new AloftError(codeOfGrpcStatus(error.code), error.details || error.message, { cause: error }));
    });
    call.on('end', () => {
      signal.removeEventListener('abort', cancel);
      if (resource) resolve(resource);
      else reject(internal(`the connector "${server.name}" ended the call without a result`));
    });
    const { template, outputPrefix, taskExecutionMetadata, inputs = { literals: {} } } = request;
    const header = { template, outputPrefix, taskExecutionMetadata, maxDatasetSizeBytes: BigInt(maxBytes) };
    call.write({ part: { $case: 'header', value: header } });
    call.write({ part: { $case: 'inputs', value: inputs } });
    call.end();
  });
}
