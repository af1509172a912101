import { once } from 'node:events';
import { createServer } from 'node:http';
import { S3Storage } from './s3-storage.js';

test('a storage that is away for a moment costs no result', async () => {
  let requests = 0;
  const stored: string[] = [];
  const server = createServer((request, response) => {
    // As a proxy or a restarting server does it, more often than the client's own default would take.
    if (++requests <= 5) return void request.socket.destroy();
    request.setEncoding('utf8');
    request.on('data', (text: string) => stored.push(text));
    request.on('end', () => response.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  try {
    const storage = S3Storage.from({
      FLYTE_AWS_ENDPOINT: `http://127.0.0.1:${port}`,
      FLYTE_AWS_ACCESS_KEY_ID: 'a',
      FLYTE_AWS_SECRET_ACCESS_KEY: 'b',
    });
    await storage.write('s3://aloft/run/outputs.pb', Buffer.from('outcome'));
    expect([requests, stored.join('')]).toEqual([6, 'outcome']);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
