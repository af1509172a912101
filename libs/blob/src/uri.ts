import { invalidArgument } from '@aloft/errors';

export interface ObjectLocation {
  bucket: string;
  key: string;
}

const bucketPattern = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/** `s3://bucket/key`, as it stands: nothing is percent-decoded. A prefix may have an empty key. */
export function parseUri(uri: string): ObjectLocation {
  const slash = uri.indexOf('/', 5);
  const bucket = slash < 0 ? uri.slice(5) : uri.slice(5, slash);
  if (!uri.startsWith('s3://') || !isBucketName(bucket))
    throw invalidArgument(`"${uri}" is no blob URI: it should be s3://<bucket>/<key>`);
  return { bucket, key: slash < 0 ? '' : uri.slice(slash + 1) };
}

export function toUri({ bucket, key }: ObjectLocation): string {
  return `s3://${bucket}/${key}`;
}

export function isBucketName(name: string): boolean {
  return bucketPattern.test(name);
}
