import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Below those that Linux gives to outgoing connections (32768 to 60999): one of them could have the port by the time that its server
 * binds it, or comes back to it.
 */
const [firstPort, lastPort] = [15_000, 32_000];
/** Several are asked for before the first is bound. */
const given = new Set();

/** A port of 127.0.0.1 that nobody listens on: `wanted` if it is free, else any. */
export async function freePort(wanted = 0) {
  if (wanted > 0 && (await isFree(wanted))) return wanted;
  for (;;) {
    const port = randomInt(firstPort, lastPort);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
