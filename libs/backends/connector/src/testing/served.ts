import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { createClient } from '@aloft/rpc';
import { AgentMetadataServiceClient } from '@aloft/idl/flyteidl/service/agent';

/** flytekit's own connector process (`pyflyte serve connector`) with the connectors beside this file. */
export interface ServedConnectors {
  address: string;
  /** SIGKILL, then a new process on the same port. */
  restart(): Promise<void>;
  kill(): Promise<void>;
  stop(): Promise<void>;
}

const pyflyte = join(dirname(process.env['ALOFT_TEST_PYTHON'] ?? ''), 'pyflyte');

/** `env`: how connectors reach storage. */
export async function serveConnectors(env: Record<string, string> = {}): Promise<ServedConnectors> {
  const port = await freePort();
  const prometheus = await freePort();
  const address = `127.0.0.1:${port}`;
  const start = async () => {
    const child = spawn(
      pyflyte,
      [
        'serve',
        'connector',
        '--port',
        `${port}`,
        '--prometheus_port',
        `${prometheus}`,
        '--modules',
        'aloft_test_connectors',
      ],
      { cwd: import.meta.dirname, stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...env } },
    );
    let said = '';
    child.stderr.on('data', (data) => (said = `${said}${String(data)}`.slice(-4_000)));
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    const client = createClient(AgentMetadataServiceClient, address);
    try {
      await Promise.race([
        client.ready(60_000),
        ended.then(() => Promise.reject(new Error(`pyflyte serve connector ended: ${said}`))),
      ]);
    } finally {
      client.close();
    }
    return {
      async kill() {
        child.kill('SIGKILL');
        await ended;
      },
    };
  };
  let running = await start();
  return {
    address,
    kill: () => running.kill(),
    async restart() {
      await running.kill();
      running = await start();
    },
    stop: () => running.kill(),
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
