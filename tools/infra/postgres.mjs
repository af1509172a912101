// A Postgres server of its own on this machine, from the npm package that libs/database uses: for tests, benches and
// start:distributed. Needs a build (`node tools/build.mjs`).
import { readFileSync } from 'node:fs';
import { startEmbeddedPostgres } from '@aloft/database';

/**
 * Starts a server on 127.0.0.1; resolves when it takes connections. `dir` holds its data, and is used again by a later start.
 *
 * - `port`: default a free one. `settings`: over the embedded ones, e.g. `{ max_connections: 300 }`.
 *
 * Returns `{ url, port, pid, dir, log, stop(), kill(), pause(), resume(), restart() }`: `url` is the administrator's, database
 * `aloft`; `pid` is the present one. The server ends with this process.
 */
export async function start({ dir, port, settings }) {
  const server = new Server(dir, port, { max_connections: 300, ...settings });
  await server.launch();
  return server;
}

class Server {
  #running;
  #settings;

  constructor(dir, port, settings) {
    this.dir = dir;
    this.port = port;
    this.#settings = settings;
  }

  async launch() {
    this.#running = await startEmbeddedPostgres({ dataDir: this.dir, port: this.port, settings: this.#settings });
    this.port = this.#running.port;
    this.url = this.#running.url;
  }

  get pid() {
    return this.#running.pid;
  }

  get log() {
    return `${this.dir}/server.log`;
  }

  /** Closes all connections and writes everything. */
  async stop() {
    this.resume();
    await this.#running.stop();
  }

  /** Server and sessions at once, as a machine that loses its power. */
  async kill() {
    for (const pid of [this.pid, ...childrenOf(this.pid)]) signal(pid, 'SIGKILL');
    // Its process does not keep ours alive, but this wait has to.
    const awake = setInterval(() => undefined, 1_000);
    await this.#running.exited.finally(() => clearInterval(awake));
  }

  /** Nobody gets an answer, and nobody is told: connections stay open. */
  pause() {
    signal(this.pid, 'SIGSTOP');
    for (const pid of childrenOf(this.pid)) signal(pid, 'SIGSTOP');
  }

  resume() {
    for (const pid of [...childrenOf(this.pid), this.pid]) signal(pid, 'SIGCONT');
  }

  /** Stops it (with `hard`: kills it), and starts it on the same data and port. */
  async restart({ hard = false } = {}) {
    await (hard ? this.kill() : this.stop());
    await this.launch();
  }
}

function childrenOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return [];
    throw error;
  }
}

function signal(pid, name) {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}
