import { CreateUploadLocationRequest } from '@aloft/idl/flyteidl/service/dataproxy';
import { flyteUrl, parseFlyteUrl } from './flyte-urls.js';
import { base32, expirySeconds, sameMd5, uploadPath } from './upload-locations.js';

test('A-123: flyte URLs there and back', () => {
  const run = { org: '', project: 'p', domain: 'd', name: 'run' };
  expect(flyteUrl(run, 'n0', 'inputs')).toBe('flyte://v1/p/d/run/n0/i');
  expect(parseFlyteUrl('flyte://v1/p/d/run/n0-0-n1/2/o/o0')).toEqual({
    project: 'p',
    domain: 'd',
    execution: 'run',
    nodeId: 'n0-0-n1',
    attempt: 2,
    kind: 'outputs',
    variable: 'o0',
  });
  expect(parseFlyteUrl(flyteUrl(run, 'n0', 'deck'))).toMatchObject({ kind: 'deck', attempt: undefined });
});

test.each([
  's3://b/k',
  'flyte://v1/p/d/run',
  'flyte://v1/p/d/run/n0/x',
  'flyte://v1/p/d/run/n0/1/d',
  'flyte://v1/p/d/run/n0/i/a/b',
])('K-29: %s is refused with the right form', (url) => {
  expect(() => parseFlyteUrl(url)).toThrow('write flyte://v1/<project>/<domain>');
});

test('A-120: where uploads go', () => {
  const md5 = Buffer.from('d41d8cd98f00b204e9800998ecf8427e', 'hex');
  const request = (partial: object) =>
    CreateUploadLocationRequest.fromPartial({ project: 'p', domain: 'd', ...partial });
  expect(base32(md5)).toBe('2QOYZWMPACZAJ2MABGMOZ6CCPY======');
  expect(uploadPath(request({ contentMd5: md5, filename: 'fast.tar.gz' }))).toEqual({
    path: 'p/d/2QOYZWMPACZAJ2MABGMOZ6CCPY======/fast.tar.gz',
    fixed: false,
  });
  expect(uploadPath(request({ filenameRoot: 'root', filename: 'a/b' }))).toEqual({ path: 'p/d/root/a/b', fixed: true });
  expect(uploadPath(request({ filenameRoot: 'root' })).path).toMatch(/^p\/d\/root\/[0-9a-f]{20}$/);
  expect(() => uploadPath(request({}))).toThrow('content_md5: missing');
  expect(() => uploadPath(request({ contentMd5: Buffer.alloc(3) }))).toThrow('3 bytes; an MD5 has 16');
  expect(() => uploadPath(request({ filenameRoot: '../up' }))).toThrow('filename_root');
  expect(() => uploadPath(CreateUploadLocationRequest.fromPartial({ domain: 'd', contentMd5: md5 }))).toThrow(
    'project: missing',
  );
  expect([md5.toString('hex'), base32(md5), md5.toString('base64')].every((known) => sameMd5(known, md5))).toBe(true);
});

test('K-27: life of a signed URL', () => {
  expect(expirySeconds(undefined, 3600)).toBe(3600);
  expect(expirySeconds({ seconds: 60n, nanos: 0 }, 3600)).toBe(60);
  expect(() => expirySeconds({ seconds: 3601n, nanos: 0 }, 3600)).toThrow('expires_in: 3601 seconds');
});
