import { createServer, type AddressInfo } from 'node:net';

/** One of loopback that nobody has now; should somebody take it before a driver does, Spark takes the next one. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
