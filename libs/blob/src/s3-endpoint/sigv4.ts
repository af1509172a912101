import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** AWS Signature Version 4, as both sides of S3 compute it. */

export const algorithm = 'AWS4-HMAC-SHA256';
export const unsignedPayload = 'UNSIGNED-PAYLOAD';

export interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
}

/** `<date>/<region>/<service>/aws4_request`. */
export interface Scope {
  date: string;
  region: string;
  service: string;
}

export interface SignedParts {
  method: string;
  /** Decoded. */
  path: string;
  /** Decoded, without the signature itself. */
  query: readonly (readonly [string, string])[];
  /** Lower-case names with their values, exactly those that are signed. */
  headers: readonly (readonly [string, string])[];
  payloadHash: string;
}

export function scopeText({ date, region, service }: Scope): string {
  return `${date}/${region}/${service}/aws4_request`;
}

export function signingKey(secretAccessKey: string, { date, region, service }: Scope): Buffer {
  return [date, region, service, 'aws4_request'].reduce<Buffer>(
    (key, part) => hmac(key, part),
    Buffer.from(`AWS4${secretAccessKey}`),
  );
}

export function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

export function sha256Hex(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

export function signature(key: Buffer, amzDate: string, scope: Scope, parts: SignedParts): string {
  const text = [algorithm, amzDate, scopeText(scope), sha256Hex(canonicalRequest(parts))].join('\n');
  return hmac(key, text).toString('hex');
}

export function canonicalRequest({ method, path, query, headers, payloadHash }: SignedParts): string {
  const sortedQuery = query
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort((a, b) => (a < b ? -1 : 1))
    .join('&');
  const sortedHeaders = [...headers].sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    method,
    path.split('/').map(encode).join('/'),
    sortedQuery,
    ...sortedHeaders.map(([name, value]) => `${name}:${value.trim().replace(/ +/g, ' ')}`),
    '',
    sortedHeaders.map(([name]) => name).join(';'),
    payloadHash,
  ].join('\n');
}

/** Percent-encodes all but RFC 3986's unreserved characters. */
export function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

export function equalSignatures(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** `20261123T194500Z`. */
export function amzDateOf(date: Date): string {
  return `${date.toISOString().replace(/[-:]/g, '').slice(0, 15)}Z`;
}

export function parseAmzDate(text: string): Date | undefined {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (!parts) return undefined;
  const [year, month, day, hour, minute, second] = parts.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return new Date(Date.UTC(year, month - 1, day, hour, minute, second));
}

export interface PresignOptions {
  method: 'GET' | 'PUT';
  /** `http://host:port`, and the path below it, decoded. */
  endpoint: string;
  path: string;
  region: string;
  credentials: Credentials;
  now: Date;
  expiresInSeconds: number;
  /** Headers that the request must carry, lower-case. */
  headers?: Record<string, string>;
}

/** A path-style presigned URL. */
export function presign(options: PresignOptions): string {
  const { method, endpoint, path, region, credentials, now, expiresInSeconds, headers = {} } = options;
  const url = new URL(endpoint);
  const amzDate = amzDateOf(now);
  const scope: Scope = { date: amzDate.slice(0, 8), region, service: 's3' };
  const signed: [string, string][] = [['host', url.host], ...Object.entries(headers)];
  const query: [string, string][] = [
    ['X-Amz-Algorithm', algorithm],
    ['X-Amz-Credential', `${credentials.accessKeyId}/${scopeText(scope)}`],
    ['X-Amz-Date', amzDate],
    ['X-Amz-Expires', String(expiresInSeconds)],
    [
      'X-Amz-SignedHeaders',
      signed
        .map(([name]) => name)
        .sort()
        .join(';'),
    ],
  ];
  const key = signingKey(credentials.secretAccessKey, scope);
  const sign = signature(key, amzDate, scope, { method, path, query, headers: signed, payloadHash: unsignedPayload });
  const text = [...query, ['X-Amz-Signature', sign] as const]
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .join('&');
  return `${url.origin}${path.split('/').map(encode).join('/')}?${text}`;
}
