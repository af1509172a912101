import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { temporaryBlobStore } from '../testing/index.js';
import { createS3Endpoint, type S3Endpoint } from './s3-endpoint.js';
import { amzDateOf, encode, presign, scopeText, sha256Hex, signature, signingKey, hmac, type Scope } from './sigv4.js';
import { createChecksum } from './checksums.js';
import type { LocalBlobStore } from '../local/local-blob-store.js';

const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const now = new Date('2026-11-23T20:00:00Z');
let store: LocalBlobStore;
let dir: string;
let cleanUp: () => void;
let endpoint: S3Endpoint;
let url: string;

beforeEach(async () => {
  ({ store, dir, close: cleanUp } = temporaryBlobStore());
  endpoint = createS3Endpoint({ objects: store.objects, credentials, now: () => now });
  url = await endpoint.listen(0);
});
afterEach(async () => {
  await endpoint.close(0);
  cleanUp();
});

interface Signed {
  method?: string;
  path: string;
  query?: [string, string][];
  headers?: Record<string, string>;
  body?: string | Buffer;
  payloadHash?: string;
  at?: Date;
  secret?: string;
  /** Sent, but not signed. */
  unsigned?: Record<string, string>;
}

/** The request with a SigV4 header, and what a signed body needs. */
function sign({ method = 'GET', path, query = [], headers = {}, body = '', at = now, secret, ...rest }: Signed) {
  const amzDate = amzDateOf(at);
  const scope: Scope = { date: amzDate.slice(0, 8), region: 'eu-central-1', service: 's3' };
  const payloadHash = rest.payloadHash ?? sha256Hex(body);
  const all: Record<string, string> = {
    ...headers,
    host: new URL(url).host,
    'x-amz-date': amzDate,
    'x-amz-content-sha256': payloadHash,
  };
  const key = signingKey(secret ?? credentials.secretAccessKey, scope);
  const seed = signature(key, amzDate, scope, { method, path, query, headers: Object.entries(all), payloadHash });
  all['authorization'] =
    `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scopeText(scope)}, ` +
    `SignedHeaders=${Object.keys(all).sort().join(';')}, Signature=${seed}`;
  const text = query.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&');
  const target = `${url}${path.split('/').map(encode).join('/')}${text ? `?${text}` : ''}`;
  return { target, method, headers: { ...all, ...rest.unsigned }, key, scope, amzDate, seed };
}

async function send(request: Signed): Promise<{ status: number; text: string; headers: Headers }> {
  const { target, method, headers } = sign(request);
  const { host: _, ...rest } = headers as Record<string, string>;
  const answer = await fetch(target, {
    method,
    headers: rest,
    body: method === 'PUT' || method === 'POST' ? request.body : undefined,
  });
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
}

const code = (xml: string) => /<Code>(\w+)<\/Code>/.exec(xml)?.[1];
const refused = async (request: Signed) => {
  const { status, text } = await send(request);
  return [status, code(text)];
};

describe('signatures', () => {
  test('a signed request passes; wrong secret, changed path, query or header do not', async () => {
    expect((await send({ method: 'PUT', path: '/aloft/a b/ü+(1)', body: 'x' })).status).toBe(200);
    expect((await send({ path: '/aloft/a b/ü+(1)' })).text).toBe('x');
    expect(await refused({ path: '/aloft/x', secret: 'wrong' })).toEqual([403, 'SignatureDoesNotMatch']);
    const { target, headers } = sign({ path: '/aloft', query: [['prefix', 'a']] });
    const { host: _, ...rest } = headers as Record<string, string>;
    expect((await fetch(target, { headers: rest })).status).toBe(200);
    for (const altered of [`${target}b`, target.replace('prefix', 'marker'), target.replace('/aloft', '/other')])
      expect((await fetch(altered, { headers: rest })).status).toBe(403);
    expect((await fetch(target, { headers: { ...rest, 'x-amz-date': '20261123T200001Z' } })).status).toBe(403);
  });

  test('no, old-style and broken authorization', async () => {
    const get = async (headers: Record<string, string>) => {
      const answer = await fetch(`${url}/aloft/x`, { headers });
      return [answer.status, code(await answer.text())];
    };
    expect(await get({})).toEqual([403, 'AccessDenied']);
    expect(await get({ authorization: 'AWS key:sig' })).toEqual([400, 'InvalidRequest']);
    expect(await get({ authorization: 'AWS4-HMAC-SHA256 Credential=a' })).toEqual([
      400,
      'AuthorizationHeaderMalformed',
    ]);
    expect(await get({ authorization: 'AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=0' })).toEqual([
      400,
      'AuthorizationHeaderMalformed',
    ]);
  });

  test('a clock more than 15 minutes off is refused', async () => {
    const off = (minutes: number) => ({ path: '/aloft', at: new Date(now.getTime() + minutes * 60_000) });
    expect((await send(off(14))).status).toBe(200);
    expect(await refused(off(16))).toEqual([403, 'RequestTimeTooSkewed']);
    expect(await refused(off(-16))).toEqual([403, 'RequestTimeTooSkewed']);
  });

  test('an x-amz header that is not signed is refused', async () => {
    expect(await refused({ path: '/aloft', unsigned: { 'x-amz-copy-source': '/aloft/secret' } })).toEqual([
      403,
      'AccessDenied',
    ]);
  });

  test('presigned URLs: valid until they expire, not before their time, for one method and path', async () => {
    await store.put('s3://aloft/x', Buffer.from('x'));
    const at = (seconds: number, expiresInSeconds = 60, method: 'GET' | 'PUT' = 'GET') =>
      presign({
        method,
        endpoint: url,
        path: '/aloft/x',
        region: 'us-east-1',
        credentials,
        now: new Date(now.getTime() + seconds * 1000),
        expiresInSeconds,
      });
    const get = async (target: string, init?: RequestInit) => {
      const answer = await fetch(target, init);
      const text = await answer.text();
      return [answer.status, code(text) ?? text];
    };
    expect(await get(at(-59))).toEqual([200, 'x']);
    const expired = await fetch(at(-61));
    expect(expired.status).toBe(403);
    expect(await expired.text()).toContain('Request has expired');
    expect(await get(at(1000))).toEqual([403, 'AccessDenied']);
    expect(await get(at(0, 8 * 24 * 3600))).toEqual([400, 'AuthorizationQueryParametersError']);
    expect(await get(at(0, 60, 'PUT'))).toEqual([403, 'SignatureDoesNotMatch']);
    expect(await get(at(0).replace('Expires=60', 'Expires=6000'))).toEqual([403, 'SignatureDoesNotMatch']);
    expect(
      await get(at(0, 60, 'PUT'), { method: 'PUT', body: 'new', headers: { 'x-amz-copy-source': 'aloft/y' } }),
    ).toEqual([403, 'AccessDenied']);
  });
});

describe('bodies', () => {
  const md5 = (text: string) => createHash('md5').update(text).digest('base64');

  test('declared digests are checked before anything becomes visible', async () => {
    const put = (headers: Record<string, string>, payloadHash?: string) =>
      refused({ method: 'PUT', path: '/aloft/x', body: 'body', headers, payloadHash });
    expect(await put({ 'content-md5': md5('other') })).toEqual([400, 'BadDigest']);
    expect(await put({ 'content-md5': 'abc' })).toEqual([400, 'InvalidDigest']);
    expect(await put({}, sha256Hex('other'))).toEqual([400, 'XAmzContentSHA256Mismatch']);
    expect(await put({ 'x-amz-checksum-crc32': 'AAAAAA==' })).toEqual([400, 'BadDigest']);
    expect(await put({}, 'nonsense')).toEqual([400, 'InvalidArgument']);
    expect(await store.head('s3://aloft/x')).toBeUndefined();
    expect(readdirSync(join(dir, '.tmp'))).toEqual([]);
    expect(await put({ 'content-md5': md5('body') }, 'UNSIGNED-PAYLOAD')).toEqual([200, undefined]);
  });

  test('checksums of the standard test input', () => {
    const of = (name: string) => {
      const sum = createChecksum(name)!;
      sum.update(Buffer.from('1234'));
      sum.update(Buffer.from('56789'));
      return sum.digest().toString('hex');
    };
    expect(of('crc32')).toBe('cbf43926');
    expect(of('crc32c')).toBe('e3069283');
    expect(of('crc64nvme')).toBe('ae8b14860a799888');
  });

  function chunked(parts: string[], request: ReturnType<typeof sign>, tamper = (chunk: string) => chunk): string {
    let previous = request.seed;
    return [...parts, '']
      .map((part) => {
        const text = [
          'AWS4-HMAC-SHA256-PAYLOAD',
          request.amzDate,
          scopeText(request.scope),
          previous,
          sha256Hex(''),
          sha256Hex(part),
        ];
        previous = hmac(request.key, text.join('\n')).toString('hex');
        return `${part.length.toString(16)};chunk-signature=${previous}\r\n${tamper(part)}\r\n`;
      })
      .join('');
  }

  const put = async (request: ReturnType<typeof sign>, body: string) => {
    const { host: _, ...headers } = request.headers as Record<string, string>;
    const answer = await fetch(request.target, { method: 'PUT', headers, body });
    return [answer.status, code(await answer.text())];
  };

  test('aws-chunked with signatures', async () => {
    const signed = () =>
      sign({
        method: 'PUT',
        path: '/aloft/chunked',
        payloadHash: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
        headers: { 'x-amz-decoded-content-length': '11', 'content-encoding': 'aws-chunked' },
      });
    const right = signed();
    expect(await put(right, chunked(['hello ', 'world'], right))).toEqual([200, undefined]);
    expect(Buffer.from(await store.get('s3://aloft/chunked')).toString()).toBe('hello world');
    const changed = signed();
    expect(
      await put(
        changed,
        chunked(['hello ', 'world'], changed, (part) => part.replace('o', '0')),
      ),
    ).toEqual([403, 'SignatureDoesNotMatch']);
    const short = signed();
    expect(await put(short, chunked(['hello '], short))).toEqual([400, 'IncompleteBody']);
    const cut = signed();
    expect(await put(cut, chunked(['hello ', 'world'], cut).slice(0, 87))).toEqual([400, 'IncompleteBody']);
    const garbage = signed();
    expect(await put(garbage, 'zzz')).toEqual([400, 'InvalidRequest']);
    expect(Buffer.from(await store.get('s3://aloft/chunked')).toString()).toBe('hello world');
  });

  test('aws-chunked unsigned with a checksum trailer', async () => {
    const signed = () =>
      sign({
        method: 'PUT',
        path: '/aloft/t',
        payloadHash: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
        headers: { 'x-amz-decoded-content-length': '9', 'x-amz-trailer': 'x-amz-checksum-crc32' },
      });
    const body = (crc: string) => `9\r\n123456789\r\n0\r\n${crc}\r\n\r\n`;
    expect(await put(signed(), body('x-amz-checksum-crc32:y/Q5Jg=='))).toEqual([200, undefined]);
    expect(await put(signed(), body('x-amz-checksum-crc32:AAAAAA=='))).toEqual([400, 'BadDigest']);
    expect(await put(signed(), '9\r\n123456789\r\n0\r\n\r\n')).toEqual([400, 'InvalidRequest']);
  });

  test('an upload that breaks off leaves nothing', async () => {
    const { headers } = sign({ method: 'PUT', path: '/aloft/cut', payloadHash: 'UNSIGNED-PAYLOAD' });
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    const lines = Object.entries({ ...headers, 'content-length': '1000000' }).map(
      ([name, value]) => `${name}: ${value}`,
    );
    socket.write(`PUT /aloft/cut HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\nsome bytes`);
    await new Promise((resolve) => setImmediate(resolve));
    socket.destroy();
    await once(socket, 'close');
    await endpoint.close(1000);
    expect(await store.head('s3://aloft/cut')).toBeUndefined();
  });
});

describe('answers', () => {
  test('errors are S3’s XML, with a request id', async () => {
    const { status, text, headers } = await send({ path: '/aloft/a<&>b' });
    expect(status).toBe(404);
    expect(headers.get('content-type')).toBe('application/xml');
    expect(text).toMatch(
      /^<\?xml version="1.0" encoding="UTF-8"\?>\n<Error><Code>NoSuchKey<\/Code><Message>.*a&lt;&amp;&gt;b.*<\/Message><Resource>.*<\/Resource><RequestId>[0-9A-F]{16}<\/RequestId><\/Error>$/,
    );
    expect(headers.get('x-amz-request-id')).toMatch(/^[0-9A-F]{16}$/);
  });

  test('a refusal is heard by a client that is still sending: the rest of the body is taken first', async () => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    await once(socket, 'connect');
    let heard = '';
    socket.setEncoding('latin1').on('data', (text: string) => (heard += text));
    const size = 4_000_000;
    socket.write(`PUT /aloft/large HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n`);
    while (!heard.includes('</Error>')) await once(socket, 'data');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject).once('close', () => reject(new Error('the connection was closed')));
      socket.write(Buffer.alloc(size), (error) => (error ? reject(error) : resolve()));
    });
    expect(heard).toMatch(/^HTTP\/1\.1 403 /);
    // It was all read: the connection serves the next request.
    heard = '';
    socket.write('GET /aloft/large HTTP/1.1\r\nHost: x\r\n\r\n');
    while (!heard.includes('</Error>')) await once(socket, 'data');
    expect(heard).toMatch(/^HTTP\/1\.1 403 /);
    socket.destroy();
  });

  test('also one that asks for its connection to be closed hears it', async () => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    await once(socket, 'connect');
    let heard = '';
    socket.setEncoding('latin1').on('data', (text: string) => (heard += text));
    const ended = new Promise((resolve) => socket.once('end', resolve));
    const size = 4_000_000;
    socket.write(`PUT /aloft/large HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${size}\r\n\r\n`);
    while (!heard.includes('</Error>')) await once(socket, 'data');
    const half = Buffer.alloc(size / 2);
    for (let i = 0; i < 2; i += 1)
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        socket.write(half, (error) => (error ? reject(error) : resolve()));
      });
    await ended;
    expect(heard).toMatch(/^HTTP\/1\.1 403 [^]*Connection: close[^]*<\/Error>$/);
    socket.destroy();
  });

  test('a refused body that is larger than anybody should wait for is cut off', async () => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    await once(socket, 'connect');
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined).resume();
    socket.write(`PUT /aloft/huge HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000000\r\n\r\n`);
    const chunk = Buffer.alloc(2 ** 20);
    while (!socket.destroyed) await new Promise<void>((resolve) => socket.write(chunk, () => resolve()));
    await closed;
    expect(socket.bytesWritten).toBeLessThan(200 * 2 ** 20);
  });

  test.each([
    ['bytes=0-0', 206, 'a', 'bytes 0-0/26'],
    ['bytes=24-100', 206, 'yz', 'bytes 24-25/26'],
    ['bytes=-3', 206, 'xyz', 'bytes 23-25/26'],
    ['bytes=-100', 206, 'abcdefghijklmnopqrstuvwxyz', 'bytes 0-25/26'],
    ['bytes=5-2', 200, 'abcdefghijklmnopqrstuvwxyz', null],
    ['bytes=0-1,4-5', 200, 'abcdefghijklmnopqrstuvwxyz', null],
    ['lines=1-2', 200, 'abcdefghijklmnopqrstuvwxyz', null],
  ])('Range: %s', async (range, status, text, contentRange) => {
    await store.put('s3://aloft/abc', Buffer.from('abcdefghijklmnopqrstuvwxyz'));
    const answer = await send({ path: '/aloft/abc', headers: { range } });
    expect([answer.status, answer.text, answer.headers.get('content-range')]).toEqual([status, text, contentRange]);
  });

  test('a range beyond the end is 416', async () => {
    await store.put('s3://aloft/abc', Buffer.from('abc'));
    expect(await refused({ path: '/aloft/abc', headers: { range: 'bytes=3-' } })).toEqual([416, 'InvalidRange']);
  });

  test('conditional reads', async () => {
    const { etag } = await store.put('s3://aloft/c', Buffer.from('c'));
    const get = async (headers: Record<string, string>) => (await send({ path: '/aloft/c', headers })).status;
    expect(await get({ 'if-none-match': `"${etag}"` })).toBe(304);
    expect(await get({ 'if-none-match': '"other"' })).toBe(200);
    expect(await get({ 'if-match': `"other", "${etag}"` })).toBe(200);
    expect(await get({ 'if-match': '"other"' })).toBe(412);
    expect(await get({ 'if-modified-since': new Date(Date.now() + 60_000).toUTCString() })).toBe(304);
    expect(await get({ 'if-unmodified-since': new Date(0).toUTCString() })).toBe(412);
  });

  test('user metadata and content type go round, also beyond ASCII', async () => {
    const headers = { 'x-amz-meta-name': Buffer.from('Zoë ☃').toString('latin1'), 'content-type': 'text/x' };
    const { target, headers: all } = sign({ method: 'PUT', path: '/aloft/m', body: 'm', headers });
    const { host: _, ...rest } = all as Record<string, string>;
    expect((await fetch(target, { method: 'PUT', headers: rest, body: 'm' })).status).toBe(200);
    const answer = await send({ path: '/aloft/m' });
    expect(Buffer.from(answer.headers.get('x-amz-meta-name')!, 'latin1').toString()).toBe('Zoë ☃');
    expect(answer.headers.get('content-type')).toBe('text/x');
  });

  test.each(['/aloft/../secret', '/aloft/a/../../secret', '/aloft/..', '/aloft/%2e%2e/secret', '/aloft/..%2fsecret'])(
    '%s cannot leave the folder',
    async (path) => {
      const { hostname, port } = new URL(url);
      // Raw, since every HTTP client would normalise the path first.
      const { headers } = sign({ path: decodeURIComponent(path) });
      const socket = connect(Number(port), hostname);
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
      socket.end(`GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\nconnection: close\r\n\r\n`);
      let text = '';
      for await (const chunk of socket) text += chunk;
      expect(text).toMatch(/^HTTP\/1.1 400/);
      expect(text).toContain('<Code>InvalidArgument</Code>');
    },
  );

  test('what is not there is said plainly', async () => {
    expect(await refused({ path: '/nobody/x' })).toEqual([404, 'NoSuchBucket']);
    expect(await refused({ path: '/aloft', query: [['acl', '']] })).toEqual([501, 'NotImplemented']);
    expect(await refused({ method: 'PATCH', path: '/aloft/x' })).toEqual([405, 'MethodNotAllowed']);
    expect(await refused({ method: 'PUT', path: '/new-bucket' })).toEqual([403, 'AccessDenied']);
    expect((await fetch(`${url}/aloft/%ff`)).status).toBe(400);
  });

  test('an object is the file that local processes see', async () => {
    await send({ method: 'PUT', path: '/aloft/metadata/x/outputs.pb', body: 'out' });
    const file = store.localPath('s3://aloft/metadata/x/outputs.pb');
    expect(existsSync(file) && readFileSync(file, 'utf8')).toBe('out');
  });
});
