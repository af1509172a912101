// A spreader of TCP connections: each new one goes to the next target that is live. It knows nothing of what it carries.
import { connect, createServer } from 'node:net';

const connectMs = 1_000;
const checkMs = 1_000;

/**
 * `targets()`: `{ host, port, ready }[]`, `ready` a URL that answers 200 while the target should get connections. A target that
 * refuses a connection is passed over for the next; one that is not ready is asked last.
 */
export class Front {
  #servers = [];
  #sockets = new Set();
  #unready = new Set();
  #turn = 0;
  #timer;

  /** Listens on 127.0.0.1 (port 0: any); resolves with `host:port`. */
  async listen(port, targets) {
    const server = createServer({ pauseOnConnect: true, noDelay: true }, (client) => this.#spread(client, targets));
    await new Promise((resolve, reject) => {
      server.once('error', (error) =>
        reject(
          new Error(
            `the front cannot listen on 127.0.0.1:${port}: ${error.message}; set ALOFT_GRPC_PORT and ALOFT_HTTP_PORT`,
          ),
        ),
      );
      server.listen(port, '127.0.0.1', resolve);
    });
    this.#servers.push(server);
    this.#timer ??= setInterval(() => void this.#check(targets()), checkMs).unref();
    return `127.0.0.1:${server.address().port}`;
  }

  async close() {
    clearInterval(this.#timer);
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }

  async #check(targets) {
    await Promise.all(
      targets.map(async ({ ready }) => {
        const ok = await fetch(ready, { signal: AbortSignal.timeout(checkMs) }).then(
          (response) => response.ok,
          () => false,
        );
        if (ok) this.#unready.delete(ready);
        else this.#unready.add(ready);
      }),
    );
  }

  #order(targets) {
    const turn = this.#turn++ % targets.length;
    const turned = [...targets.slice(turn), ...targets.slice(0, turn)];
    const isLive = ({ ready }) => !this.#unready.has(ready);
    return [...turned.filter(isLive), ...turned.filter((target) => !isLive(target))];
  }

  async #spread(client, targets) {
    this.#sockets.add(client);
    client.on('close', () => this.#sockets.delete(client));
    client.on('error', () => client.destroy());
    for (const target of this.#order(targets())) {
      const server = await reach(target);
      if (client.destroyed) return void server?.destroy();
      if (!server) continue;
      server.on('error', () => client.destroy());
      client.on('close', () => server.destroy());
      server.on('close', () => client.destroy());
      client.pipe(server);
      server.pipe(client);
      return;
    }
    client.destroy();
  }
}

function reach({ host, port }) {
  return new Promise((resolve) => {
    const socket = connect({ host, port, noDelay: true });
    const end = (result) => {
      clearTimeout(timer);
      socket.removeAllListeners('connect').removeAllListeners('error');
      if (!result) socket.on('error', () => undefined).destroy();
      resolve(result);
    };
    const timer = setTimeout(() => end(undefined), connectMs);
    socket.once('connect', () => end(socket));
    socket.once('error', () => end(undefined));
  });
}
