import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BackendHost, type BackendPlugin } from '@aloft/backend-kit';
import { launchOf, MemoryBus, MemoryWorkStore, Told } from '@aloft/backend-kit/testing';
import { createLocalBlobStore } from '@aloft/blob';
import type { Database } from '@aloft/database';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { createLogger } from '@aloft/telemetry';
import { ServerCredentials } from '@grpc/grpc-js';
import { type ConnectorOptions, createConnectorBackend, defaultTimeouts, grpcMessageBytes } from './index.js';
import { AgentServer } from './testing/agent-server.js';

const dir = mkdtempSync(join(tmpdir(), 'aloft-agents-'));
const blob = createLocalBlobStore({ dir, durable: false });
afterAll(() => rmSync(dir, { recursive: true }));

// Real: gRPC on both sides, over a socket. The server is ours, for what flytekit's own has not.
describe('an agent server that is none of flytekit’s', () => {
  let server: AgentServer;
  let plugin: BackendPlugin | undefined;

  afterEach(async () => {
    await plugin?.stop();
    plugin = undefined;
    server.stop();
  });

  const start = async (of: Partial<ConnectorOptions['servers'][number]> = {}, more: Partial<ConnectorOptions> = {}) => {
    plugin = createConnectorBackend(
      {
        servers: [
          {
            name: 'agents',
            address: server.address,
            taskTypes: [],
            maxRequestBytes: grpcMessageBytes,
            timeoutsMs: defaultTimeouts,
            ...of,
          },
        ],
        slots: 10,
        listEveryMs: 30_000,
        maxMessageBytes: 4 * 1024 * 1024,
        observe: { everyMs: 0, maxLogBytes: 100, publicUrl: () => 'http://aloft.test' },
        limits: { pollMs: { first: 5, longest: 20 } },
        ...more,
      },
      createLogger('connector', { level: process.env['ALOFT_TEST_LOG'] ?? 'silent' }),
    );
    await plugin.start?.();
    return plugin;
  };
  const launch = (name: string) => launchOf({ name, type: 'custom' });
  const logOf = async (of: ReturnType<typeof launch>) =>
    Buffer.from(await blob.get(`${of.outputPrefix}/output.log`)).toString();

  describe('A-161: logs and metrics', () => {
    it('are seen while the job runs and when it ended: output.log with all pages, a link, custom information', async () => {
      server = await new AgentServer().listen();
      server.resource = { phase: Phase.RUNNING, customInfo: { job: 7 } };
      server.log = [['one\n', 'two'], ['three\n']];
      server.metrics = { EXECUTION_METRIC_USED_CPU_AVG: { value: 0.5 } };
      const told = new Told(blob);
      const one = launch('run1-n0-0');
      await (await start()).launch(one, told);
      const running = await told.until(({ phase, logs }) => phase === Phase.RUNNING && (logs?.length ?? 0) > 0);
      expect(running.logs).toMatchObject([{ name: 'Output', uri: expect.stringMatching(/^http:\/\/aloft.test\/api/) }]);
      expect(running.customInfo).toEqual({ job: 7, metrics: { EXECUTION_METRIC_USED_CPU_AVG: { value: 0.5 } } });
      expect(await logOf(one)).toBe('one\ntwo\nthree\n');
      server.log = [['one\n', 'the end\n']];
      server.resource = { phase: Phase.SUCCEEDED };
      expect((await told.end()).logs).toHaveLength(1);
      expect(await logOf(one)).toBe('one\nthe end\n');
    });

    it('of a long log the end is kept', async () => {
      server = await new AgentServer().listen();
      server.resource = { phase: Phase.SUCCEEDED };
      server.log = [Array.from({ length: 100 }, (_, i) => `line ${i}\n`)];
      const told = new Told(blob);
      const one = launch('run1-n1-0');
      await (await start()).launch(one, told);
      await told.end();
      expect(await logOf(one)).toHaveLength(100);
      expect(await logOf(one)).toMatch(/line 99\n$/);
    });

    it('a server that has neither is not asked again and again, and no attempt ends by it', async () => {
      server = await new AgentServer().listen();
      server.resource = { phase: Phase.RUNNING };
      const told = new Told(blob);
      await (await start()).launch(launch('run1-n2-0'), told);
      await told.until(({ phase }) => phase === Phase.RUNNING);
      await new Promise((resolve) => setTimeout(resolve, 200));
      server.resource = { phase: Phase.SUCCEEDED };
      expect(Phase[(await told.end()).phase]).toBe('SUCCEEDED');
      expect(server.logCalls).toBe(1);
    });
  });

  it('A-163: what it serves is listed anew while the platform runs', async () => {
    server = await new AgentServer().listen();
    const connected = await start({}, { listEveryMs: 20 });
    expect(connected.taskTypes?.()).toEqual(['custom']);
    server.types = ['custom', 'newer'];
    while (connected.taskTypes?.().length !== 2) await new Promise((resolve) => setTimeout(resolve, 10));
    server.types = ['newer'];
    while (connected.taskTypes?.().length !== 1) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(connected.refuse(launch('run1-n0-0'))).toContain('served are newer');
  });

  it('A-163: a task type that no server lists goes to the default one, where there is one', async () => {
    server = await new AgentServer().listen();
    server.types = ['other'];
    const connected = await start({}, { fallback: 'agents' });
    const unlisted = launch('run1-n0-0');
    expect(connected.refuse(unlisted)).toBeUndefined();
    server.resource = { phase: Phase.SUCCEEDED };
    const told = new Told(blob);
    await connected.launch(unlisted, told);
    expect(Phase[(await told.end()).phase]).toBe('SUCCEEDED');
  });

  it('an abort is told as done once its delete was acknowledged, however often that failed', async () => {
    server = await new AgentServer().listen();
    server.resource = { phase: Phase.RUNNING };
    const bus = new MemoryBus();
    const host = new BackendHost({
      plugin: await start(),
      bus,
      database: undefined as unknown as Database,
      store: new MemoryWorkStore(),
      blob,
      logger: createLogger('host', { level: 'silent' }),
      name: 'host-1',
      relaunchMs: { first: 5, longest: 20 },
    });
    await host.start();
    const one = launch('run1-n4-0');
    await bus.command({ launch: one });
    await bus.report(one.attempt, ({ phase }) => phase === Phase.RUNNING);
    server.failingDeletes = 2;
    await bus.command({ abort: one.attempt, reason: 'enough' });
    expect(Phase[(await bus.end(one.attempt)).phase]).toBe('ABORTED');
    expect(server.deletes).toBe(3);
    await host.stop();
  });

  describe('a secure channel', () => {
    const run = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
    let ca: Buffer;
    let credentials: ServerCredentials;

    beforeAll(() => {
      run(
        ...'req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost'.split(' '),
        '-addext',
        'subjectAltName=DNS:localhost',
        '-keyout',
        'key.pem',
        '-out',
        'ca.pem',
      );
      ca = readFileSync(join(dir, 'ca.pem'));
      credentials = ServerCredentials.createSsl(null, [
        { private_key: readFileSync(join(dir, 'key.pem')), cert_chain: ca },
      ]);
    });

    const succeeds = async (name: string) => {
      const told = new Told(blob);
      await plugin?.launch(launch(name), told);
      return Phase[(await told.end()).phase];
    };

    it('by an authority that is given, with a token', async () => {
      server = await new AgentServer({ token: 'secret' }).listen(credentials);
      server.resource = { phase: Phase.SUCCEEDED };
      await start({ tls: { ca }, metadata: () => ({ authorization: 'Bearer secret' }) });
      expect(plugin?.taskTypes?.()).toEqual(['custom']);
      expect(await succeeds('run1-n3-0')).toBe('SUCCEEDED');
    });

    it('an authority that is not known, plain text, or no token: nothing is served, nothing is told', async () => {
      server = await new AgentServer({ token: 'secret' }).listen(credentials);
      const ways = [{ tls: {} }, {}, { tls: { ca } }];
      for (const way of ways) {
        const refused = await start({ ...way, timeoutsMs: { ...defaultTimeouts, list: 500 } });
        expect(refused.taskTypes?.()).toEqual([]);
        await refused.stop();
      }
    });
  });
});
