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

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
