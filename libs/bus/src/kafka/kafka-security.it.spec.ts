import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { createLogger } from '@aloft/telemetry';
import { take } from '../testing/contract-order.js';
import { message } from '../testing/fixture.js';
import { startTestKafka, type TestKafka } from '../testing/kafka.js';
import { createKafkaBus, type KafkaBus, type KafkaBusOptions } from './index.js';

const folder = mkdtempSync(join(tmpdir(), 'aloft-kafka-tls-'));
const password = 'keystore-password';
const users = [
  { mechanism: 'SCRAM-SHA-256', username: 'aloft', password: 'secret-256' },
  { mechanism: 'SCRAM-SHA-512', username: 'aloft', password: 'secret-512' },
];
let secured: TestKafka;
let login: TestKafka;
const buses: KafkaBus[] = [];

/** An authority, and a certificate of 127.0.0.1 that it signed. */
function makeCertificates(): void {
  const run = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'rsa:2048', '-nodes'];
  run('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=Aloft test CA');
  run('req', ...key, '-keyout', 'broker.key', '-out', 'broker.csr', '-subj', '/CN=127.0.0.1');
  writeFileSync(join(folder, 'san'), 'subjectAltName=IP:127.0.0.1');
  const sign = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'san'];
  run('x509', '-req', '-in', 'broker.csr', ...sign, '-out', 'broker.pem');
  const chain = ['-inkey', 'broker.key', '-in', 'broker.pem', '-certfile', 'ca.pem'];
  run('pkcs12', '-export', ...chain, '-out', 'broker.p12', '-passout', `pass:${password}`);
}

beforeAll(async () => {
  makeCertificates();
  // One after the other: what has started is ended also when the next one does not.
  secured = await startTestKafka({
    security: { protocol: 'SASL_SSL', keystore: { path: join(folder, 'broker.p12'), password }, scram: users },
  });
  login = await startTestKafka({
    security: { protocol: 'SASL_PLAINTEXT', plain: { aloft: 'plain-secret' }, oauth: true },
  });
}, 300_000);
afterEach(async () => {
  await Promise.all(buses.splice(0).map((bus) => bus.close()));
});
afterAll(async () => {
  await Promise.all([secured?.dispose(), login?.dispose()]);
  rmSync(folder, { recursive: true, force: true });
});

const trusted = (): ConnectionOptions => ({ ca: readFileSync(join(folder, 'ca.pem')) });

function open(options: Partial<KafkaBusOptions>): KafkaBus {
  const bus = createKafkaBus({
    brokers: secured.brokers,
    logger: createLogger('bus', { level: process.env.ALOFT_TEST_LOG ?? 'silent' }),
    topics: ['tasks.reports'],
    partitions: 1,
    replicationFactor: 1,
    minInSyncReplicas: 1,
    startTimeoutMs: 10_000,
    ...options,
  });
  buses.push(bus);
  return bus;
}

/** Starts, writes and reads. */
async function expectWorks(options: Partial<KafkaBusOptions>): Promise<void> {
  const bus = open({ ...options, startTimeoutMs: 60_000 });
  await bus.start();
  const stream = { topic: 'tasks.reports', partition: 0 };
  const [head] = await bus.heads([stream]);
  await bus.deliver([message('tasks.reports', 'a', `m${head}`)]);
  expect(await take(bus.read(stream, head!), 1)).toEqual([`m${head}`]);
}

test.each([
  ['scram-sha-256', 'secret-256'],
  ['scram-sha-512', 'secret-512'],
] as const)('TLS with %s', async (mechanism, secret) => {
  await expectWorks({ tls: trusted(), sasl: { mechanism, username: 'aloft', password: secret } });
});

test('PLAIN', async () => {
  await expectWorks({
    brokers: login.brokers,
    sasl: { mechanism: 'plain', username: 'aloft', password: 'plain-secret' },
  });
});

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const token = (seconds: number) => {
  const now = Math.floor(Date.now() / 1000);
  return `${part({ alg: 'none' })}.${part({ sub: 'aloft', iat: now, exp: now + seconds })}.`;
};

test.each(['aws-iam', 'oauthbearer'] as const)(
  '%s: bearer tokens of a provider, a new one for each connection',
  async (mechanism) => {
    let asked = 0;
    await expectWorks({
      brokers: login.brokers,
      sasl: {
        mechanism,
        region: 'eu-west-1',
        token: async () => {
          asked++;
          return token(300);
        },
      },
    });
    expect(asked).toBeGreaterThan(1);
  },
);

test('a wrong password, an unknown user, a mechanism that is not enabled, nothing to log in with: said at once', async () => {
  const started = Date.now();
  const refused = (sasl: KafkaBusOptions['sasl'], more: Partial<KafkaBusOptions> = { tls: trusted() }) =>
    open({ sasl, startTimeoutMs: 60_000, ...more }).start();
  await expect(refused({ mechanism: 'scram-sha-256', username: 'aloft', password: 'wrong' })).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    message: expect.stringMatching(/refused the credentials of user "aloft" \(SASL SCRAM-SHA-256\).*bus\.kafka\.sasl/s),
  });
  await expect(refused({ mechanism: 'scram-sha-512', username: 'who', password: 'x' })).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
  });
  await expect(refused({ mechanism: 'plain', username: 'aloft', password: 'x' })).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
    message: expect.stringContaining('does not take SASL PLAIN'),
  });
  await expect(
    refused({ mechanism: 'plain', username: 'aloft', password: 'wrong' }, { brokers: login.brokers }),
  ).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  await expect(
    refused(
      { mechanism: 'oauthbearer', token: async () => token(-60) },
      { brokers: login.brokers, startTimeoutMs: 500 },
    ),
  ).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('it refused the token') });
  expect(() => open({ sasl: { mechanism: 'plain' } })).toThrow('bus.kafka.sasl.username');
  expect(() => open({ sasl: { mechanism: 'aws-iam' } })).toThrow('bus.kafka.sasl.region');
  expect(Date.now() - started).toBeLessThan(50_000);
});

test('an authority nobody told us of, and none where it is needed', async () => {
  const sasl = { mechanism: 'scram-sha-256', username: 'aloft', password: 'secret-256' } as const;
  await expect(open({ tls: true, sasl }).start()).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
    message: expect.stringContaining('bus.kafka.tls.caFile'),
  });
  await expect(open({ sasl, startTimeoutMs: 500 }).start()).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('it wants TLS (bus.kafka.tls.enabled)'),
  });
  await expect(open({ brokers: login.brokers, startTimeoutMs: 500 }).start()).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('it wants a login (bus.kafka.sasl)'),
  });
});
