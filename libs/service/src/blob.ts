import type { BlobStore } from '@aloft/blob';
import { createS3BlobStore } from '@aloft/blob/s3';
import { AloftError, failedPrecondition, toAloftError } from '@aloft/errors';
import { sharedCheck } from './checks.js';
import type { BlobConfig, ServiceConfig } from './config.js';
import { withPatience } from './patience.js';
import type { Service } from './service.js';

/** A good answer of the storage is taken for so long. */
const holdMs = 5_000;

/**
 * Blob storage, after an object was written to it: the bucket is there, the keys are right and may write. Adds the readiness
 * check (a HEAD of that object, every few seconds at most).
 */
export async function openBlobStore(service: Service<ServiceConfig & { blob: BlobConfig }>): Promise<BlobStore> {
  const { config, logger, health, shutdown, name } = service;
  const { bucket, endpoint, region, publicEndpoint, accessKeyId, secretAccessKey } = config.blob;
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined))
    throw failedPrecondition(
      'blob.accessKeyId and blob.secretAccessKey: give both, or neither (then the AWS default chain is asked)',
    );
  const credentials = accessKeyId && secretAccessKey ? { accessKeyId, secretAccessKey } : undefined;
  const blob = createS3BlobStore({ buckets: [bucket], endpoint, region, publicEndpoint, credentials });
  shutdown.add('pools', 'blob storage', () => blob.close());
  const probe = `s3://${bucket}/metadata/.check/${name}`;
  await withPatience(
    async () => {
      try {
        await blob.put(probe, Buffer.from('written by each start, to see that it can be\n'));
      } catch (error) {
        throw explained(error, config.blob);
      }
    },
    { part: 'blob storage', patienceMs: config.start.patienceMs, logger, signal: shutdown.signal },
  );
  health.add(
    'ready',
    'blob storage',
    sharedCheck(async () => {
      try {
        await blob.head(probe);
      } catch (error) {
        throw explained(error, config.blob);
      }
    }, holdMs),
  );
  return blob;
}

function explained(thrown: unknown, { bucket, endpoint, region }: BlobConfig): AloftError {
  const error = toAloftError(thrown);
  const where = endpoint ?? `S3 in ${region}`;
  switch (error.code) {
    case 'FAILED_PRECONDITION':
      return failedPrecondition(
        `blob.bucket: ${where} has no bucket "${bucket}" (${error.message}): create it, or name another`,
        { cause: error },
      );
    case 'UNAUTHENTICATED':
      return failedPrecondition(
        `blob.accessKeyId, blob.secretAccessKey: ${where} does not take these keys (${error.message}): mend them`,
        { cause: error },
      );
    case 'PERMISSION_DENIED':
      return failedPrecondition(
        `blob: ${where} does not let us write to bucket "${bucket}" (${error.message}): the keys (or the role of the service) ` +
          'need s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket on it',
        { cause: error },
      );
    case 'UNAVAILABLE':
      return new AloftError(
        'UNAVAILABLE',
        `blob.endpoint: ${where} cannot be reached (${error.message}): is the address right, and does it run?`,
        { cause: error },
      );
    default:
      return new AloftError(error.code, `blob storage at ${where}: ${error.message}`, { cause: error });
  }
}
