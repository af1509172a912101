import { connect, createServer, type Server, type Socket } from 'node:net';

export interface Address {
  host: string;
  port: number;
}

export type LinkState =
  | { kind: 'open' }
  /** Connections are refused and those there are reset. */
  | { kind: 'cut' }
  /** Nothing passes and nobody is told: as behind a firewall that drops. */
  | { kind: 'blackhole' }
  /** Each direction later by `latencyMs`, and at most `bytesPerSecond`. */
  | { kind: 'slow'; latencyMs: number; bytesPerSecond: number };

/**
 * A TCP connection's way from one part of the platform to another, which can be cut, silenced and slowed. Order of bytes
 * is always kept; memory is bounded (a paused side is not read).
 */
export class TcpProxy {
  private state: LinkState = { kind: 'open' };
  private readonly pairs = new Set<Pair>();

  private constructor(
    private readonly server: Server,
    readonly address: Address,
    private upstream: Address,
  ) {}

  static async listen(upstream: Address, port = 0): Promise<TcpProxy> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    const bound = server.address() as { port: number };
    const proxy = new TcpProxy(server, { host: '127.0.0.1', port: bound.port }, upstream);
    server.on('connection', (socket) => proxy.accept(socket));
    return proxy;
  }

  get connections(): number {
    return this.pairs.size;
  }

  set(state: LinkState): void {
    this.state = state;
    for (const pair of [...this.pairs]) pair.enter(state);
  }

  heal(): void {
    this.set({ kind: 'open' });
  }

  /** Where new connections go from now on. */
  pointTo(upstream: Address): void {
    this.upstream = upstream;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const pair of [...this.pairs]) pair.reset();
    await closed;
  }

  private accept(client: Socket): void {
    if (this.state.kind === 'cut') {
      client.on('error', () => undefined);
      client.resetAndDestroy();
      return;
    }
    const pair = new Pair(client, this.upstream, () => this.pairs.delete(pair));
    this.pairs.add(pair);
    pair.enter(this.state);
  }
}

/** The two sockets of one connection. */
class Pair {
  private readonly server: Socket;
  private readonly pipes: [Pipe, Pipe];

  constructor(
    private readonly client: Socket,
    upstream: Address,
    private readonly onGone: () => void,
  ) {
    this.server = connect({ ...upstream, allowHalfOpen: true });
    this.client.setNoDelay(true);
    this.server.setNoDelay(true);
    this.pipes = [new Pipe(client, this.server), new Pipe(this.server, client)];
    let open = 2;
    for (const socket of [client, this.server]) {
      // A reset on one side is one on the other.
      socket.on('error', () => this.reset());
      socket.once('close', () => {
        if (socket.errored) this.reset();
        if (--open === 0) onGone();
      });
    }
  }

  enter(state: LinkState): void {
    if (state.kind === 'cut') this.reset();
    else for (const pipe of this.pipes) pipe.enter(state);
  }

  reset(): void {
    for (const pipe of this.pipes) pipe.stop();
    for (const socket of [this.client, this.server])
      if (!socket.destroyed) {
        if (socket.connecting) socket.destroy();
        else socket.resetAndDestroy();
      }
    this.onGone();
  }
}

/** One direction. */
class Pipe {
  private state: LinkState = { kind: 'open' };
  private readonly waiting: { chunk: Buffer | undefined; due: number }[] = [];
  private bytes = 0;
  /** When the line is free again, at its bandwidth. */
  private freeAt = 0;
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(
    private readonly from: Socket,
    private readonly to: Socket,
  ) {
    from.on('data', (chunk: Buffer) => this.push(chunk));
    from.once('end', () => this.push(undefined));
    to.on('drain', () => this.flow());
    from.pause();
  }

  enter(state: LinkState): void {
    this.state = state;
    this.freeAt = 0;
    // What was held back goes on at once, under the new rule.
    if (state.kind !== 'slow') for (const item of this.waiting) item.due = 0;
    this.flow();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    this.waiting.length = 0;
  }

  private push(chunk: Buffer | undefined): void {
    if (this.stopped) return;
    const now = Date.now();
    let due = 0;
    if (this.state.kind === 'slow') {
      this.freeAt = Math.max(this.freeAt, now) + ((chunk?.length ?? 0) * 1000) / this.state.bytesPerSecond;
      due = this.freeAt + this.state.latencyMs;
    }
    this.waiting.push({ chunk, due });
    this.bytes += chunk?.length ?? 0;
    this.flow();
  }

  /** Sends what is due, and reads on only while there is room. */
  private flow(): void {
    clearTimeout(this.timer);
    if (this.stopped) return;
    if (this.state.kind === 'blackhole') {
      this.from.pause();
      return;
    }
    for (let next = this.waiting[0]; next; next = this.waiting[0]) {
      const wait = next.due - Date.now();
      if (wait > 0) {
        this.timer = setTimeout(() => this.flow(), wait);
        break;
      }
      if (this.to.writableNeedDrain) break;
      this.waiting.shift();
      if (next.chunk === undefined) this.to.end();
      else {
        this.bytes -= next.chunk.length;
        this.to.write(next.chunk);
      }
    }
    if (this.bytes < 1 << 20 && !this.to.writableNeedDrain) this.from.resume();
    else this.from.pause();
  }
}
