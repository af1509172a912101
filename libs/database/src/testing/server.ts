// The Postgres of a test run: a process of its own, started by whichever test needs it first, reused by the others, gone
// some seconds after the last of them. Argument: its folder. Each connection to its socket is one user; it is told the
// administrator's URL (or what went wrong) as a line of JSON.
import { rmSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../embedded/embedded-postgres.js';
import { throwaway } from '../embedded/settings.js';

/** Long enough for the next test file, or the next run of somebody who edits. */
const idleMs = 20_000;

const folder = process.argv[2]!;
const path = join(folder, 'socket');
const dataDir = join(folder, `data-${process.pid}`);
const users = new Set<Socket>();
let postgres: Promise<EmbeddedPostgres> | undefined;
let idle: NodeJS.Timeout | undefined;

const server = createServer((socket) => {
  clearTimeout(idle);
  users.add(socket);
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    users.delete(socket);
    if (users.size === 0) idle = setTimeout(() => void stop(), idleMs);
  });
  postgres ??= startEmbeddedPostgres({ dataDir, settings: throwaway });
  postgres.then(
    ({ url }) => socket.write(`${JSON.stringify({ url })}\n`),
    (error) => socket.end(`${JSON.stringify({ error: String(error) })}\n`, () => void stop()),
  );
});

async function stop(): Promise<void> {
  if (users.size > 0) return;
  server.close();
  await postgres?.then((running) => running.stop()).catch(() => undefined);
  await rm(dataDir, { recursive: true, force: true });
}

/** Is somebody already serving there? */
function isServed(): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path, () => resolve(true)).on('error', () => resolve(false));
    probe.on('connect', () => probe.destroy());
  });
}

server.on('error', async (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EADDRINUSE') throw error;
  if (await isServed()) return;
  rmSync(path, { force: true });
  server.listen(path);
});
await mkdir(folder, { recursive: true, mode: 0o711 });
server.listen(path);
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.on(signal, () => {
    for (const user of users) user.destroy();
    users.clear();
    void stop();
  });
