import { collectData, dataPlaceOf, placeData } from '@aloft/backend-kit';
import { type BlobStore, parseUri } from '@aloft/blob';
import { createS3BlobStore } from '@aloft/blob/s3';
import { toAloftError } from '@aloft/errors';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { ContainerError_Kind, ErrorDocument } from '@aloft/idl/flyteidl/core/errors';
import { ExecutionError_ErrorKind } from '@aloft/idl/flyteidl/core/execution';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { decodeTask, taskVariable } from './task.js';

/**
 * `node main.js in|out`: brings a raw container its inputs as files, before it; brings what it wrote away, after it (C-180). What is wrong
 * with the task's own data becomes its error.pb; anything else ends the program with a message, and the attempt is tried again.
 */
async function main(direction: string | undefined, env: NodeJS.ProcessEnv): Promise<void> {
  const task = decodeTask(env[taskVariable] ?? '');
  const place = dataPlaceOf(task);
  if (!place) throw new Error(`${taskVariable} names no place for the task's data`);
  const blob = storageOf(task, env);
  const write = (name: 'outputs.pb' | 'error.pb', bytes: Uint8Array) =>
    blob.put(`${task.outputPrefix.replace(/\/+$/, '')}/${name}`, Buffer.from(bytes));
  if (direction === 'in') {
    const { literals } = LiteralMap.decode(await blob.get(task.inputsUri));
    try {
      await placeData(literals, blob, place);
    } catch (error) {
      if (toAloftError(error).code !== 'INVALID_ARGUMENT') throw error;
      await write('error.pb', errorDocument((error as Error).message));
      process.exitCode = 1;
    }
  } else if (direction === 'out') {
    const { name, bytes } = await collectData(task, blob, place);
    await write(name, bytes);
  } else throw new Error(`say "in" or "out", not "${direction}"`);
}

function storageOf({ outputPrefix, rawOutputPrefix, inputsUri }: LaunchTask, env: NodeJS.ProcessEnv): BlobStore {
  const [first, ...others] = new Set([outputPrefix, rawOutputPrefix, inputsUri].map((uri) => parseUri(uri).bucket));
  const {
    FLYTE_AWS_ENDPOINT: endpoint,
    FLYTE_AWS_ACCESS_KEY_ID: accessKeyId,
    FLYTE_AWS_SECRET_ACCESS_KEY: secretAccessKey,
  } = env;
  return createS3BlobStore({
    buckets: [first as string, ...others],
    ...(endpoint ? { endpoint } : {}),
    ...(env['AWS_REGION'] ? { region: env['AWS_REGION'] } : {}),
    // Without keys: the role of the pod's account.
    ...(accessKeyId && secretAccessKey ? { credentials: { accessKeyId, secretAccessKey } } : {}),
  });
}

function errorDocument(message: string): Uint8Array {
  const kind = ContainerError_Kind.NON_RECOVERABLE;
  const origin = ExecutionError_ErrorKind.USER;
  return ErrorDocument.encode({
    error: { code: 'InputsUnfit', message, kind, origin, timestamp: undefined, worker: '' },
  }).finish();
}

try {
  await main(process.argv[2], process.env);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
