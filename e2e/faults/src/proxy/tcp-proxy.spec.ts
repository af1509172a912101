import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { TcpProxy } from './tcp-proxy.js';

describe('TcpProxy', () => {
  let server: Server;
  let proxy: TcpProxy;
  const sockets: Socket[] = [];

  beforeEach(async () => {
    server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.pipe(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    proxy = await TcpProxy.listen({ host: '127.0.0.1', port: (server.address() as { port: number }).port });
  });

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await proxy.close();
    server.close();
  });

  async function open(): Promise<Socket> {
    const socket = connect(proxy.address);
    sockets.push(socket);
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  }

  async function echo(socket: Socket, text: string): Promise<string> {
    socket.write(text);
    let answer = '';
    while (answer.length < text.length) answer += String((await once(socket, 'data'))[0]);
    return answer;
  }

  it('passes bytes in order, much of them too', async () => {
    const socket = await open();
    const text = Array.from({ length: 200_000 }, (_, i) => `${i},`).join('');
    expect(await echo(socket, text)).toBe(text);
  });

  it('passes the end of one direction on while the other goes on', async () => {
    const socket = await open();
    let answer = '';
    socket.on('data', (chunk) => (answer += String(chunk)));
    socket.end('last words');
    await once(socket, 'end');
    expect(answer).toBe('last words');
  });

  it('cut: resets what is open, refuses what comes, until it is healed', async () => {
    const before = await open();
    await echo(before, 'x');
    const reset = new Promise<NodeJS.ErrnoException>((resolve) => before.once('error', resolve));
    proxy.set({ kind: 'cut' });
    expect((await reset).code).toBe('ECONNRESET');
    const during = connect(proxy.address);
    sockets.push(during);
    const refused = new Promise((resolve) => {
      during.once('error', resolve);
      during.once('close', resolve);
    });
    await refused;
    expect(during.destroyed).toBe(true);
    proxy.heal();
    expect(await echo(await open(), 'again')).toBe('again');
  });

  it('blackhole: no byte and no reset; what was sent meanwhile arrives when it is healed', async () => {
    const socket = await open();
    await echo(socket, 'x');
    proxy.set({ kind: 'blackhole' });
    let answer = '';
    let ended = false;
    socket.on('data', (chunk) => (answer += String(chunk)));
    socket.once('close', () => (ended = true));
    socket.write('held back');
    // Another connection, too, is accepted and hears nothing.
    const other = await open();
    other.write('me too');
    let heard = '';
    other.on('data', (chunk) => (heard += String(chunk)));
    // A round trip around the proxy takes longer than one through it would.
    const direct = connect((server.address() as { port: number }).port, '127.0.0.1');
    sockets.push(direct);
    await once(direct, 'connect');
    await echo(direct, 'round trip');
    expect([answer, heard, ended]).toEqual(['', '', false]);
    proxy.heal();
    while (answer !== 'held back') await once(socket, 'data');
    while (heard !== 'me too') await once(other, 'data');
  });

  it('slow: later by its latency each way, and no faster than its bandwidth', async () => {
    const socket = await open();
    proxy.set({ kind: 'slow', latencyMs: 50, bytesPerSecond: 1_000_000 });
    let started = performance.now();
    expect(await echo(socket, 'x')).toBe('x');
    expect(performance.now() - started).toBeGreaterThanOrEqual(98);
    proxy.set({ kind: 'slow', latencyMs: 0, bytesPerSecond: 200_000 });
    started = performance.now();
    const text = 'y'.repeat(40_000);
    expect(await echo(socket, text)).toBe(text);
    expect(performance.now() - started).toBeGreaterThanOrEqual(190);
  });

  it('a server that is not there resets the client', async () => {
    const gone = createServer();
    gone.listen(0, '127.0.0.1');
    await once(gone, 'listening');
    const { port } = gone.address() as { port: number };
    gone.close();
    proxy.pointTo({ host: '127.0.0.1', port });
    const socket = connect(proxy.address);
    sockets.push(socket);
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.once('close', resolve));
    expect(proxy.connections).toBe(0);
  });
});
