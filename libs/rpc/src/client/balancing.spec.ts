import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Project, ProjectListRequest, ProjectRegisterRequest, Projects } from '@aloft/idl/flyteidl/admin/project';
import { AdminServiceClient, AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import type { RpcServer } from '../server/rpc-server.js';
import { serveForTest } from '../testing/index.js';
import { createClient, type ClientOptions } from './create-client.js';
import { parseTarget } from './target.js';

const callers = 16;
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

interface Replica {
  server: RpcServer;
  address: string;
  port: number;
  /** Calls whose handler began. */
  calls: number;
  /** Client ends of the connections that they came over. */
  peers: Set<string>;
}

/** A server whose calls take a few milliseconds, so that some are always under way. */
async function replica(port = 0, options: Parameters<typeof serveForTest>[2] = {}): Promise<Replica> {
  const started = { calls: 0, peers: new Set() } as unknown as Replica;
  const { server, address } = await serveForTest(
    AdminServiceService,
    {
      listProjects: async () => {
        started.calls++;
        await delay(1 + Math.random() * 10);
        return Projects.fromPartial({ projects: [Project.fromPartial({ id: 'p' })] });
      },
      registerProject: async (_request, call) => {
        started.calls++;
        started.peers.add(call.peer);
        await delay(1 + Math.random() * 10);
        return {};
      },
    },
    { port, ...options },
  );
  closers.push(() => server.close(0));
  return Object.assign(started, { server, address, port: server.port });
}

function clientOf(addresses: string, options: ClientOptions = {}) {
  const client = createClient(AdminServiceClient, addresses, options);
  closers.push(() => client.close());
  return client;
}

/** Many callers at once, until `stop`; tells how many calls succeeded, and what failed. */
function load(call: () => Promise<unknown>) {
  let going = true;
  let succeeded = 0;
  const failed: string[] = [];
  const caller = async () => {
    while (going) {
      await call().then(
        () => succeeded++,
        async (error: unknown) => {
          failed.push(String(error));
          await delay(1); // One that fails at once must not keep the loop to itself.
        },
      );
    }
  };
  const running = Promise.all(Array.from({ length: callers }, caller));
  return {
    failed,
    /** Resolves when so many more calls have ended. */
    async more(count: number): Promise<void> {
      for (const until = succeeded + failed.length + count; succeeded + failed.length < until;) await delay(5);
    },
    async stop(): Promise<void> {
      going = false;
      await running;
    },
  };
}

const listing = ProjectListRequest.fromPartial({});
const registration = ProjectRegisterRequest.fromPartial({ project: { id: 'p', name: 'P' } });

describe('a client of several servers', () => {
  it('takes turns, and follows a replica that comes back', async () => {
    const [a, b] = [await replica(), await replica()];
    const client = clientOf(`${a.address}, ${b.address}`);
    await client.ready();
    const running = load(() => client.listProjects(listing));
    await running.more(400);
    const shareOfA = a.calls / (a.calls + b.calls);
    expect(shareOfA).toBeGreaterThan(0.25);
    expect(shareOfA).toBeLessThan(0.75);
    await b.server.close(2_000);
    await running.more(200);
    const again = await replica(b.port);
    while (again.calls === 0) await running.more(50);
    await running.stop();
    expect(running.failed).toEqual([]);
  });

  it('S-22: no safe call fails when one of two is killed under load', async () => {
    const [a, b] = [await replica(), await replica()];
    const client = clientOf(`${a.address},${b.address}`);
    await client.ready();
    const running = load(() => client.listProjects(listing));
    await running.more(200);
    await b.server.close(0); // Cuts every call that is under way.
    await running.more(600);
    await running.stop();
    expect(running.failed).toEqual([]);
  });

  it('S-22: no call fails at all, safe or not, when one of two is drained under load', async () => {
    const [a, b] = [await replica(), await replica()];
    const client = clientOf(`${a.address},${b.address}`, { safe: () => false });
    await client.ready();
    let server = b;
    for (let round = 0; round < 5; round++) {
      const before = a.calls + server.calls;
      const running = load(() => client.registerProject(registration));
      await running.more(100);
      await server.server.close(5_000);
      const ended = server.calls;
      await running.more(200);
      await running.stop();
      expect(running.failed).toEqual([]);
      expect(a.calls + ended - before).toBeGreaterThanOrEqual(300);
      server = await replica(b.port);
    }
  });

  it('connects anew when a connection has reached its age, and loses no call by it', async () => {
    const a = await replica(0, { maxConnectionAgeMs: 100 });
    const client = clientOf(a.address, { safe: () => false });
    const running = load(() => client.registerProject(registration));
    while (a.peers.size < 4) await running.more(20);
    await running.stop();
    expect(running.failed).toEqual([]);
  });

  it('reaches the others while one takes connections and says nothing', async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    closers.push(
      () => silent.close(),
      () => sockets.forEach((socket) => socket.destroy()),
    );
    const a = await replica();
    const { port } = silent.address() as { port: number };
    const client = clientOf(`127.0.0.1:${port},${a.address}`, { safe: () => false });
    for (let i = 0; i < 20; i++) await client.registerProject(registration, { deadlineMs: 2_000 });
    expect(a.calls).toBe(20);
  });

  it('waits for a server when it is told to, and says which address it could not reach when it is not', async () => {
    const a = await replica();
    await a.server.close(0);
    await expect(clientOf(a.address, { safe: () => false }).registerProject(registration)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining(String(a.port)),
    });
    const waiting = clientOf(a.address, { safe: () => false, waitForReady: true }).registerProject(registration);
    const [again] = await Promise.all([replica(a.port), waiting]);
    expect(again.calls).toBe(1);
  });

  it('leaves out names that are unknown as long as another address is known', async () => {
    const a = await replica();
    const client = clientOf(`nobody.invalid:1,localhost:${a.port}`, { safe: () => false });
    await client.registerProject(registration);
    expect(a.calls).toBe(1);
    await expect(
      clientOf('nobody.invalid:1,nothing.invalid:2', { safe: () => false }).registerProject(registration),
    ).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('nobody.invalid') });
  });

  it('refuses what is no address', () => {
    expect(() => parseTarget('localhost')).toThrow('should be host:port[,host:port…] or dns:///name:port');
    expect(() => parseTarget('a:1,b')).toThrow('should be host:port');
    expect(parseTarget('dns:///admin:8089')).toEqual({ uri: 'dns:///admin:8089', balanced: true });
    expect(parseTarget('admin:8089')).toEqual({ uri: 'admin:8089', balanced: false });
  });
});
