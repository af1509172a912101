import { XMLParser } from 'fast-xml-parser';
import { AloftError } from '@aloft/errors';
import type { LocalObjects } from '../local/local-objects.js';
import type { Payload } from './authentication.js';
import { ObjectBody } from './body.js';
import { S3Error, toS3Error } from './s3-error.js';
import type { S3Request } from './s3-request.js';
import { xmlDocument } from './xml.js';
import { createHash } from 'node:crypto';

const maxDocumentBytes = 4 * 1024 * 1024;

const parser = new XMLParser({
  ignoreAttributes: true,
  parseTagValue: false,
  trimValues: false,
  isArray: (name) => name === 'Object' || name === 'Part',
});

/** A request's XML document, verified like any body. */
export async function readDocument(request: S3Request, payload: Payload): Promise<Record<string, unknown>> {
  const body = new ObjectBody(request, payload);
  const hash = createHash('md5');
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body.bytes()) {
    size += chunk.length;
    if (size > maxDocumentBytes) throw malformed(`is larger than ${maxDocumentBytes} bytes`);
    hash.update(chunk);
    chunks.push(chunk);
  }
  body.verify(hash.digest());
  try {
    return parser.parse(Buffer.concat(chunks).toString(), true) as Record<string, unknown>;
  } catch (error) {
    throw malformed(`cannot be parsed: ${error instanceof Error ? error.message : String(error)}`);
  }
}

export function malformed(what: string): S3Error {
  return new S3Error('MalformedXML', 400, `the XML of the request ${what}`);
}

export async function deleteObjects(objects: LocalObjects, request: S3Request, payload: Payload): Promise<string> {
  const document = await readDocument(request, payload);
  const root = document['Delete'] as { Object?: { Key?: unknown }[]; Quiet?: unknown } | undefined;
  const asked = root?.Object;
  if (!root || !asked || asked.length > 1000) throw malformed('should be a Delete with 1 to 1000 Objects');
  const deleted: { Key: string }[] = [];
  const errors: { Key: string; Code: string; Message: string }[] = [];
  for (const { Key: key } of asked) {
    if (typeof key !== 'string') throw malformed('has an Object without a Key');
    try {
      await objects.remove(request.bucket, key);
      deleted.push({ Key: key });
    } catch (error) {
      if (!(error instanceof AloftError)) throw error;
      const { code, message } = toS3Error(error);
      errors.push({ Key: key, Code: code, Message: message });
    }
  }
  return xmlDocument('DeleteResult', { Deleted: root.Quiet === 'true' ? [] : deleted, Error: errors });
}
