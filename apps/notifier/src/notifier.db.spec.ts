import { once, EventEmitter } from 'node:events';
import { createServer, type Server } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { envelope, type OutgoingMessage } from '@aloft/bus';
import { testBus, type TestBus } from '@aloft/bus/testing';
import type { Database } from '@aloft/database';
import { notFound, unavailable } from '@aloft/errors';
import { ExecutionEvents } from '@aloft/idl/aloft/v1/bus';
import { Execution } from '@aloft/idl/flyteidl/admin/execution';
import { Notification } from '@aloft/idl/flyteidl/admin/common';
import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { createLogger, Metrics } from '@aloft/telemetry';
import { SMTPServer } from 'smtp-server';
import { notifierConfigSchema } from './config.js';
import { notifierMigrations } from './migrations.js';
import { Notifier } from './notifier.js';
import type { ExecutionReader } from './runs/expansion.service.js';

const logger = createLogger('test', { level: process.env.ALOFT_TEST_LOG ?? 'silent' });
const events = new EventEmitter().setMaxListeners(0);

let bus: TestBus;
let slack: Server;
let smtp: SMTPServer;
let folder: string;
/** What the Slack stand-in answers next; empty = 200. */
let slackAnswers: { status: number; headers?: Record<string, string> }[];
let slackPosts: { text: string; blocks: { text: { text: string } }[] }[];
let mails: { to: string[]; raw: string }[];
let smtpRefusals: number[];
const running: Notifier[] = [];

beforeAll(async () => {
  slack = createServer((request, response) => {
    void text(request).then((body) => {
      const answer = slackAnswers.shift() ?? { status: 200 };
      if (answer.status === 200) slackPosts.push(JSON.parse(body) as (typeof slackPosts)[number]);
      response.writeHead(answer.status, answer.headers).end(answer.status === 200 ? 'ok' : 'no_service');
      events.emit('arrived');
    });
  });
  await new Promise<void>((resolve) => slack.listen(0, '127.0.0.1', resolve));
  smtp = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    onData: (stream, session, callback) => {
      void text(stream).then((raw) => {
        const refusal = smtpRefusals.shift();
        if (refusal !== undefined) return callback(Object.assign(new Error('not now'), { responseCode: refusal }));
        mails.push({ to: session.envelope.rcptTo.map(({ address }) => address), raw });
        callback();
        events.emit('arrived');
      });
    },
  });
  await new Promise<void>((resolve) => smtp.listen(0, '127.0.0.1', () => resolve()));
  folder = mkdtempSync(join(tmpdir(), 'aloft-notifier-'));
  const { port } = slack.address() as AddressInfo;
  writeFileSync(join(folder, 'webhook'), `http://127.0.0.1:${port}/services/T/B/secret\n`);
});
afterAll(async () => {
  slack.closeAllConnections();
  slack.close();
  await new Promise<void>((resolve) => smtp.close(() => resolve()));
  rmSync(folder, { recursive: true });
});
beforeEach(async () => {
  [slackAnswers, slackPosts, mails, smtpRefusals] = [[], [], [], []];
  bus = await testBus({ schema: 'notifier', migrations: notifierMigrations });
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((notifier) => notifier.stop()));
  await bus.drop();
});

const config = (more: Record<string, unknown> = {}) =>
  notifierConfigSchema.parse({
    smtp: { host: '127.0.0.1', port: (smtp.server.address() as AddressInfo).port },
    slack: { webhooks: { '#ml': { file: join(folder, 'webhook') } } },
    publicUrl: 'https://aloft.example.com',
    retries: { attempts: 3, firstDelayMs: 5, maxDelayMs: 20 },
    ...more,
  });

const execution = (notifications: Notification[] = []) =>
  Execution.fromPartial({
    spec: { launchPlan: { project: 'p', domain: 'd', name: 'plan', version: 'v1' } },
    closure: { workflowId: { project: 'p', domain: 'd', name: 'flow', version: 'v2' }, notifications },
  });

const email = (recipientsEmail: string[], phases: Phase[], template = '') =>
  Notification.fromPartial({ phases, type: { $case: 'email', value: { recipientsEmail, template } } });

const answering = (answer: Execution): ExecutionReader => ({ getExecution: async () => answer });

async function start(admin: ExecutionReader, settings = config(), metrics?: Metrics): Promise<Notifier> {
  const notifier = new Notifier({
    database: observed(bus.database),
    bus: bus.openBus(),
    admin,
    config: settings,
    logger,
    metrics,
  });
  running.push(notifier);
  await notifier.start();
  return notifier;
}

function endMessage(name: string, phase: Phase, error = ''): OutgoingMessage {
  const executionId = { org: '', project: 'p', domain: 'd', name };
  const payload = ExecutionEvents.encode(
    ExecutionEvents.fromPartial({
      events: [
        { sequence: 1n, event: { $case: 'node', value: { nodeName: 'n0', phase: 3 } } },
        {
          sequence: 2n,
          event: {
            $case: 'workflow',
            value: {
              executionId,
              phase,
              outputResult: error ? { $case: 'error', value: { message: error } } : undefined,
            },
          },
        },
      ],
    }),
  ).finish();
  return {
    topic: 'executions.events',
    envelope: envelope({
      id: `${name}-${phase}-${Math.random()}`,
      type: 'aloft.v1.ExecutionEvents',
      execution: executionId,
      executionUid: `uid-${name}`,
      payload,
    }),
  };
}

const publish = (messages: readonly OutgoingMessage[]): Promise<void> =>
  bus.database.transaction((tx) => bus.bus.publish(tx, messages));

const end = (name: string, phase: Phase, error = ''): Promise<void> => publish([endMessage(name, phase, error)]);

/** Resolves once so many messages have arrived at the stand-ins. */
async function arrived(count: number): Promise<void> {
  while (slackPosts.length + mails.length < count) await once(events, 'arrived');
}

/** Tells of every statement that has run outside a transaction. */
function observed(database: Database): Database {
  return {
    schema: database.schema,
    url: database.url,
    transaction: (work) => database.transaction(work),
    close: () => database.close(),
    query: async (sql, values) => {
      const result = await database.query<never>(sql, values);
      events.emit('statement');
      return result;
    },
  };
}

/** Resolves once no delivery waits any more; looks again after each of the notifier's own statements. */
async function settled(
  count: number,
): Promise<{ state: string; attempts: number; last_error: string; recipient: string }[]> {
  for (;;) {
    const changed = once(events, 'statement');
    const { rows } = await bus.database.query<{
      state: string;
      attempts: number;
      last_error: string;
      recipient: string;
    }>('SELECT state, attempts, last_error, recipient FROM deliveries ORDER BY recipient');
    if (rows.length === count && rows.every(({ state }) => state === 'sent' || state === 'failed')) return rows;
    await changed;
  }
}

test('A-180…A-182: a failed run: its plan’s notifications and the rules, each recipient once', async () => {
  const notifications = [
    email(['ann@example.com', 'bob@example.com'], [Phase.FAILED, Phase.ABORTED]),
    email(['never@example.com'], [Phase.SUCCEEDED]),
    Notification.fromPartial({
      phases: [Phase.FAILED],
      type: {
        $case: 'slack',
        value: {
          recipientsEmail: ['#ml', 'channel@team.slack.com'],
          template: '{{name}} is {{ phase }}:{{ error }} {{odd}}',
        },
      },
    }),
    Notification.fromPartial({
      phases: [Phase.FAILED],
      type: { $case: 'pagerDuty', value: { recipientsEmail: ['oncall@acme.pagerduty.com'] } },
    }),
  ];
  const rules = [
    { name: 'all failures of p', project: 'p', phases: ['FAILED'], slack: ['#ml'], email: ['lead@example.com'] },
    { name: 'another project', project: 'q', phases: ['FAILED'], email: ['q@example.com'] },
    { name: 'another plan', launchPlan: 'other', phases: ['FAILED'], email: ['o@example.com'] },
  ];
  const metrics = new Metrics();
  await start(answering(execution(notifications)), config({ rules }), metrics);
  await end('run1', Phase.FAILED, 'a < b & c');
  await arrived(7);
  await settled(7);
  expect(mails.map(({ to }) => to[0]).sort()).toEqual([
    'ann@example.com',
    'bob@example.com',
    'channel@team.slack.com',
    'lead@example.com',
    'oncall@acme.pagerduty.com',
  ]);
  const mail = mails.find(({ to }) => to[0] === 'ann@example.com')!.raw.replace(/=\r\n/g, '');
  expect(mail).toMatch(/^From: Aloft <aloft@localhost>\r$/m);
  expect(mail).toMatch(/^Subject: p\/d\/run1 failed\r$/m);
  expect(mail).toMatch(/^Message-ID: <[0-9a-f-]{36}@aloft>\r$/m);
  expect(mail).toContain(
    'Execution run1 of workflow flow (version v2), launched by plan in p/d, has failed. The execution failed with the error: a < b & c',
  );
  expect(mail).toContain('https://aloft.example.com/console/projects/p/domains/d/executions/run1');
  const posts = slackPosts.map(({ blocks }) => blocks[0]!.text.text).sort();
  expect(posts[0]).toContain('Execution run1 of workflow flow');
  expect(posts[1]).toBe('run1 is failed: The execution failed with the error: a &lt; b &amp; c {{odd}}');
  expect(await metrics.text()).toContain('aloft_notifier_deliveries_total{channel="email",outcome="sent"} 5');
});

test('phases that are no end, and runs that nobody wants to hear of, make no deliveries', async () => {
  const asked: string[] = [];
  const notifier = await start({
    getExecution: async ({ id }) => (asked.push(id!.name), execution([email(['a@b.de'], [Phase.FAILED])])),
  });
  await end('running', Phase.RUNNING);
  await end('failing', Phase.FAILING);
  await end('good', Phase.SUCCEEDED);
  await notifier.caughtUp();
  await notifier.stop();
  expect(asked).toEqual(['good']);
  expect((await bus.database.query('SELECT 1 FROM deliveries UNION ALL SELECT 1 FROM ended_runs')).rowCount).toBe(0);
});

test('U-25: a receiver that is down is tried again, and gets exactly one', async () => {
  slackAnswers = [{ status: 500 }, { status: 429, headers: { 'retry-after': '0.01' } }];
  smtpRefusals = [451];
  const rules = [{ name: 'r', phases: ['SUCCEEDED'], slack: ['#ml'], email: ['a@example.com'] }];
  await start(answering(execution()), config({ rules }));
  await end('run', Phase.SUCCEEDED);
  const rows = await settled(2);
  expect(rows).toMatchObject([
    { recipient: '#ml', state: 'sent', attempts: 3 },
    { recipient: 'a@example.com', state: 'sent', attempts: 2 },
  ]);
  expect([slackPosts.length, mails.length]).toEqual([1, 1]);
});

test('what cannot succeed is given up with its reason, at once or after the last attempt', async () => {
  slackAnswers = Array.from({ length: 3 }, () => ({ status: 503 }));
  smtpRefusals = [550];
  const rules = [{ name: 'r', phases: ['ABORTED'], slack: ['#ml', '#unknown'], email: ['gone@example.com'] }];
  await start(answering(execution()), config({ rules }));
  await end('run', Phase.ABORTED);
  expect(await settled(3)).toMatchObject([
    { recipient: '#ml', state: 'failed', attempts: 3, last_error: 'Slack webhook "#ml" answered 503: no_service' },
    {
      recipient: '#unknown',
      state: 'failed',
      attempts: 1,
      last_error: expect.stringContaining('no webhook "#unknown"'),
    },
    { recipient: 'gone@example.com', state: 'failed', attempts: 1, last_error: expect.stringContaining('not now') },
  ]);
});

test('without SMTP an e-mail fails with what is missing', async () => {
  const settings = config({ smtp: undefined, rules: [{ name: 'r', phases: ['SUCCEEDED'], email: ['a@example.com'] }] });
  await start(answering(execution()), settings);
  await end('run', Phase.SUCCEEDED);
  expect(await settled(1)).toMatchObject([{ last_error: 'no SMTP server is configured (notifier.smtp.host)' }]);
});

test('while admin does not answer the run waits; an erased run is let go', async () => {
  const answers = [unavailable('starting'), unavailable('starting')];
  const rules = [{ name: 'r', phases: ['SUCCEEDED'], slack: ['#ml'] }];
  await start(
    {
      getExecution: async ({ id }) => {
        if (id!.name === 'erased') throw notFound('gone');
        const error = answers.shift();
        if (error) throw error;
        return execution();
      },
    },
    config({ rules }),
  );
  await end('erased', Phase.SUCCEEDED);
  await end('run', Phase.SUCCEEDED);
  await arrived(1);
  await settled(1);
  expect(answers).toEqual([]);
  expect((await bus.database.query('SELECT 1 FROM ended_runs')).rowCount).toBe(0);
});

test('none is lost over a restart, whatever the process was at', async () => {
  const rules = [{ name: 'r', phases: ['SUCCEEDED'], slack: ['#ml'] }];
  const first = await start({ getExecution: () => Promise.reject(unavailable('away')) }, config({ rules }));
  await end('before', Phase.SUCCEEDED);
  await first.caughtUp();
  await first.stop();
  await end('between', Phase.SUCCEEDED);
  slackAnswers = [{ status: 503 }, { status: 503 }];
  const hour = { attempts: 9, firstDelayMs: 3_600_000, maxDelayMs: 3_600_000 };
  const second = await start(answering(execution()), config({ rules, retries: hour }));
  while (slackAnswers.length > 0) await once(events, 'arrived');
  await second.stop();
  // As if the process had died while it was sending: the claims run out.
  await bus.database.query(`UPDATE deliveries SET state = 'sending', due_at = clock_timestamp()`);
  await start(answering(execution()), config({ rules }));
  await arrived(2);
  expect(await settled(2)).toMatchObject([{ attempts: 2 }, { attempts: 2 }]);
  expect(slackPosts.map((post) => post.text).sort()).toEqual(['p/d/before succeeded', 'p/d/between succeeded']);
});

test('the same end twice, and several notifiers at once: one message a recipient', async () => {
  const rules = [{ name: 'r', phases: ['SUCCEEDED'], slack: ['#ml'], email: ['a@example.com'] }];
  await Promise.all([1, 2, 3].map(() => start(answering(execution()), config({ rules }))));
  await Promise.all(Array.from({ length: 10 }, (_, i) => end(`run${i}`, Phase.SUCCEEDED)));
  await end('run3', Phase.SUCCEEDED);
  await arrived(20);
  await settled(20);
  await Promise.all(running.map((notifier) => notifier.stop()));
  expect([slackPosts.length, mails.length]).toEqual([10, 10]);
});

test('HTML bodies escape what comes from runs', async () => {
  const settings = config({
    templates: { format: 'html', body: '<b>{{ name }}</b>{{ error }}' },
    rules: [{ name: 'r', phases: ['FAILED'], email: ['a@example.com'] }],
  });
  await start(answering(execution()), settings);
  await end('run', Phase.FAILED, '<script>');
  await arrived(1);
  expect(mails[0]!.raw).toContain('Content-Type: text/html');
  expect(mails[0]!.raw).toContain('<b>run</b>');
  expect(mails[0]!.raw).toContain('&lt;script&gt;');
  await settled(1);
});

test('while admin does not answer, no more than some ends are in memory; none is lost', async () => {
  let asked = 0;
  let open = () => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  const notifier = await start({
    getExecution: async () => {
      asked++;
      await gate;
      return execution([email(['ann@example.com'], [Phase.FAILED])]);
    },
  });
  for (let batch = 0; batch < 8; batch++)
    await publish(Array.from({ length: 500 }, (_, i) => endMessage(`run-${batch}-${i}`, Phase.SUCCEEDED)));
  await end('last', Phase.FAILED);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  // Fifty of each batch at once, and not of all eight.
  expect(asked).toBeGreaterThan(0);
  expect(asked).toBeLessThanOrEqual(150);
  open();
  await arrived(1);
  await notifier.caughtUp();
  expect(mails.map(({ to }) => to)).toEqual([['ann@example.com']]);
});
