import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';

/** dist, also when this file runs from source in Jest: the server is a plain process. */
const script = fileURLToPath(new URL('../../dist/testing/server.js', import.meta.url));
const startMs = 60_000;

/** Held for the life of this process, so that the server knows when the last user is gone. */
let shared: Promise<{ url: string; connection: Socket }> | undefined;

/** Administrator's URL of the Postgres that all test processes of this checkout share; starts it if need be. */
export async function sharedPostgres(): Promise<string> {
  shared ??= attach();
  return (await shared).url;
}

async function attach(): Promise<{ url: string; connection: Socket }> {
  if (!existsSync(script)) throw new Error(`${script} is missing: run "node tools/build.mjs" first`);
  // Short: the path of a Unix socket has at most 107 bytes. Root's and others' servers differ.
  const key = createHash('sha256').update(script).digest('hex').slice(0, 8);
  const folder = join(tmpdir(), `aloft-test-${process.getuid?.() ?? 'u'}-${key}`);
  const path = join(folder, 'socket');
  let spawned = 0;
  for (const until = Date.now() + startMs; Date.now() < until;) {
    const connection = await tryConnect(path);
    if (connection) {
      const answer = await firstLine(connection);
      if (answer) {
        const { url, error } = JSON.parse(answer) as { url?: string; error?: string };
        if (url === undefined) throw new Error(`the test database did not start: ${error}`);
        connection.unref();
        return { url, connection };
      }
    } else if (Date.now() - spawned > 10_000) {
      spawned = Date.now();
      mkdirSync(folder, { recursive: true, mode: 0o711 });
      const log = openSync(join(folder, 'log'), 'a');
      spawn(process.execPath, [script, folder], { detached: true, stdio: ['ignore', log, log], env: plain() }).unref();
    }
    await delay(25); // Until the process that we started listens.
  }
  throw new Error(`the test database did not start within ${startMs / 1000} s; see ${join(folder, 'log')}`);
}

/** Without Jest's flags. */
function plain(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _, ...env } = process.env;
  return env;
}

function tryConnect(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
}

/** undefined when the server ended before it answered. */
function firstLine(socket: Socket): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (data: string) => {
      text += data;
      if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')));
    });
    socket.on('error', () => resolve(undefined));
    socket.on('close', () => resolve(undefined));
  });
}
