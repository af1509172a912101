import { randomInt } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** Waits for a line in a log that is written on; rejects when the process has ended before, or after `withinMs`. */
export function lineInLog(
  log: string,
  line: RegExp,
  withinMs: number,
): (running: { ended: AbortSignal }) => Promise<void> {
  return async ({ ended }) => {
    const from = existsSync(log) ? statSync(log).size : 0;
    for (const until = Date.now() + withinMs; ; await delay(25)) {
      const text = await textFrom(log, from);
      if (line.test(text)) return;
      if (ended.aborted) throw new Error(`it ended before it was ready:\n${text.slice(-2000)}`);
      if (Date.now() > until) throw new Error(`it was not ready within ${withinMs} ms:\n${text.slice(-2000)}`);
    }
  };
}

async function textFrom(path: string, from: number): Promise<string> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(
      Buffer.alloc(Math.max(0, size - from)),
      0,
      Math.max(0, size - from),
      from,
    );
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Below what the system gives to outgoing connections: a port stays free until its server, which may take a while, has it. */
const [firstPort, lastPort] = [15_000, 32_000];
const given = new Set<number>();

export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(firstPort, lastPort);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
