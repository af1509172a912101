import {
  algorithm,
  equalSignatures,
  hmac,
  parseAmzDate,
  scopeText,
  sha256Hex,
  signature,
  signingKey,
  unsignedPayload,
  type Credentials,
  type Scope,
} from './sigv4.js';
import { accessDenied, invalidArgument, invalidRequest, S3Error } from './s3-error.js';
import type { S3Request } from './s3-request.js';

export type CredentialLookup = (accessKeyId: string) => Credentials | undefined;

/** How the body is to be read and checked. */
export type Payload =
  | { kind: 'plain'; sha256: string | undefined }
  | { kind: 'chunked'; chain: SignatureChain | undefined; trailer: boolean };

/** The running signatures of a signed aws-chunked body. */
export interface SignatureChain {
  next(chunkSha256: string): string;
  trailer(trailerSha256: string): string;
}

const maxSkewMs = 15 * 60_000;
const maxPresignedSeconds = 7 * 24 * 3600;

interface Claim {
  accessKeyId: string;
  scope: Scope;
  signedHeaders: string[];
  signature: string;
  amzDate: string;
  payloadHash: string;
  query: S3Request['query'];
}

/** Checks a request's SigV4 signature, in its header or its URL. Throws S3's errors. */
export function authenticate(request: S3Request, lookup: CredentialLookup, now: Date): Payload {
  const claim = request.has('X-Amz-Signature') ? presignedClaim(request, now) : headerClaim(request, now);
  const credentials = lookup(claim.accessKeyId);
  if (!credentials)
    throw new S3Error('InvalidAccessKeyId', 403, `the access key id "${claim.accessKeyId}" does not exist here`);
  if (!claim.signedHeaders.includes('host')) throw accessDenied('the host header must be signed');
  for (const name of Object.keys(request.message.headers))
    if (name.startsWith('x-amz-') && name !== 'x-amz-content-sha256' && !claim.signedHeaders.includes(name))
      throw accessDenied(`the header ${name} is present but not signed`);
  const key = signingKey(credentials.secretAccessKey, claim.scope);
  const expected = signature(key, claim.amzDate, claim.scope, {
    method: request.method,
    path: request.path,
    query: claim.query,
    headers: claim.signedHeaders.map((name) => [name, request.header(name) ?? '']),
    payloadHash: claim.payloadHash,
  });
  if (!equalSignatures(expected, claim.signature))
    throw new S3Error(
      'SignatureDoesNotMatch',
      403,
      'the signature does not match: check the secret access key, and that method, path, query and signed headers ' +
        'are those that were signed',
    );
  return payloadOf(request, claim, key);
}

function headerClaim(request: S3Request, now: Date): Claim {
  const header = request.header('authorization');
  if (header === undefined) throw accessDenied('anonymous access is not allowed: sign the request (AWS4-HMAC-SHA256)');
  if (!header.startsWith(algorithm))
    throw invalidRequest('only AWS4-HMAC-SHA256 signatures are accepted: please use signature version 4');
  const fields = new Map(
    header
      .slice(algorithm.length)
      .split(',')
      .map((part): [string, string] => {
        const equals = part.indexOf('=');
        return [part.slice(0, equals).trim(), part.slice(equals + 1).trim()];
      }),
  );
  const malformed = (what: string) =>
    new S3Error('AuthorizationHeaderMalformed', 400, `the Authorization header ${what}`);
  const [credential, signedHeaders, sign] = ['Credential', 'SignedHeaders', 'Signature'].map((name) => {
    const value = fields.get(name);
    if (!value) throw malformed(`has no ${name}`);
    return value;
  }) as [string, string, string];
  const { accessKeyId, scope } = parseCredential(credential, malformed);
  const amzDate = request.header('x-amz-date') ?? '';
  const date = parseAmzDate(amzDate);
  if (!date) throw accessDenied('the x-amz-date header must be a time like 20261123T194500Z');
  if (!amzDate.startsWith(scope.date)) throw malformed('names another day than x-amz-date');
  const skew = Math.abs(now.getTime() - date.getTime());
  if (skew > maxSkewMs)
    throw new S3Error(
      'RequestTimeTooSkewed',
      403,
      `the request's time ${amzDate} differs from the server's ${now.toISOString()} by more than 15 minutes`,
    );
  const payloadHash = request.header('x-amz-content-sha256');
  if (payloadHash === undefined) throw invalidRequest('the header x-amz-content-sha256 is missing');
  return {
    accessKeyId,
    scope,
    signedHeaders: signedHeaders.split(';'),
    signature: sign,
    amzDate,
    payloadHash,
    query: request.query,
  };
}

function presignedClaim(request: S3Request, now: Date): Claim {
  const malformed = (what: string) =>
    new S3Error('AuthorizationQueryParametersError', 400, `the presigned URL ${what}`);
  const param = (name: string): string => {
    const value = request.param(name);
    if (!value) throw malformed(`has no ${name}`);
    return value;
  };
  if (param('X-Amz-Algorithm') !== algorithm) throw malformed(`must be signed with ${algorithm}`);
  const { accessKeyId, scope } = parseCredential(param('X-Amz-Credential'), malformed);
  const amzDate = param('X-Amz-Date');
  const date = parseAmzDate(amzDate);
  if (!date || !amzDate.startsWith(scope.date))
    throw malformed('has an X-Amz-Date that is no time of its credential’s day');
  const expires = Number(param('X-Amz-Expires'));
  if (!Number.isInteger(expires) || expires < 1 || expires > maxPresignedSeconds)
    throw malformed(`has X-Amz-Expires ${param('X-Amz-Expires')}: it should be 1 to ${maxPresignedSeconds} seconds`);
  if (now.getTime() > date.getTime() + expires * 1000)
    throw accessDenied(`Request has expired: it was valid for ${expires} s from ${amzDate}`);
  if (date.getTime() - now.getTime() > maxSkewMs)
    throw accessDenied(`Request is not valid yet: it is signed for ${amzDate}`);
  return {
    accessKeyId,
    scope,
    signedHeaders: param('X-Amz-SignedHeaders').split(';'),
    signature: param('X-Amz-Signature'),
    amzDate,
    payloadHash: unsignedPayload,
    query: request.query.filter(([name]) => name !== 'X-Amz-Signature'),
  };
}

function parseCredential(
  credential: string,
  malformed: (what: string) => S3Error,
): { accessKeyId: string; scope: Scope } {
  const parts = credential.split('/');
  const [date, region, service, end] = parts.slice(-4);
  const accessKeyId = parts.slice(0, -4).join('/');
  if (!accessKeyId || !date || !region || service !== 's3' || end !== 'aws4_request')
    throw malformed('has a credential that is not <access key id>/<date>/<region>/s3/aws4_request');
  return { accessKeyId, scope: { date, region, service } };
}

function payloadOf(request: S3Request, claim: Claim, key: Buffer): Payload {
  const declared = request.header('x-amz-content-sha256') ?? claim.payloadHash;
  switch (declared) {
    case unsignedPayload:
      return { kind: 'plain', sha256: undefined };
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD':
      return { kind: 'chunked', chain: chain(claim, key), trailer: false };
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER':
      return { kind: 'chunked', chain: chain(claim, key), trailer: true };
    case 'STREAMING-UNSIGNED-PAYLOAD-TRAILER':
      return { kind: 'chunked', chain: undefined, trailer: true };
    default:
      if (!/^[0-9a-f]{64}$/.test(declared))
        throw invalidArgument('x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING-… value or a hex SHA-256');
      return { kind: 'plain', sha256: declared };
  }
}

const emptySha256 = sha256Hex('');

function chain({ amzDate, scope, signature: seed }: Claim, key: Buffer): SignatureChain {
  let previous = seed;
  const sign = (kind: string, ...hashes: string[]) => {
    previous = hmac(key, [`${algorithm}-${kind}`, amzDate, scopeText(scope), previous, ...hashes].join('\n')).toString(
      'hex',
    );
    return previous;
  };
  return {
    next: (chunkSha256) => sign('PAYLOAD', emptySha256, chunkSha256),
    trailer: (trailerSha256) => sign('TRAILER', trailerSha256),
  };
}
