import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@aloft/telemetry';
import { ClusterClient } from './client.js';
import { Credentials } from './credentials.js';
import { Informer } from './informer.js';
import { pods } from './resource.js';

describe('what a cluster has (C-172)', () => {
  const closing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  /** An API server whose list is of version 1, then 2; a watch from 1 begins well and then says that it is too old. */
  async function forgetful() {
    let lists = 0;
    const pod = { metadata: { name: 'late', namespace: 'default', uid: 'u1', resourceVersion: '2' } };
    const json = (response: ServerResponse, body: unknown) => response.end(`${JSON.stringify(body)}\n`);
    const server = createServer(({ url = '' }, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      if (!url.includes('watch=')) {
        lists += 1;
        return void json(response, {
          metadata: { resourceVersion: String(lists) },
          items: lists === 1 ? [] : [pod],
        });
      }
      response.flushHeaders();
      if (!url.includes('resourceVersion=1')) return;
      const message = 'too old resource version: 1 (2)';
      const object = { kind: 'Status', status: 'Failure', reason: 'Expired', code: 410, message };
      response.write(`${JSON.stringify({ type: 'ERROR', object })}\n`);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const folder = mkdtempSync(join(tmpdir(), 'aloft-informer-'));
    const kubeconfig = join(folder, 'kubeconfig');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'main', cluster: { server: url, 'insecure-skip-tls-verify': true } }],
        users: [{ name: 'admin', user: { token: 'any' } }],
        contexts: [{ name: 'main', context: { cluster: 'main', user: 'admin' } }],
        'current-context': 'main',
      }),
    );
    closing.push(() => {
      server.closeAllConnections();
      server.close();
      rmSync(folder, { recursive: true });
    });
    return kubeconfig;
  }

  it('is listed again where a watch says, in the middle of its stream, that it is too old (an API server was restarted)', async () => {
    const kubeconfig = await forgetful();
    const client = new ClusterClient('main', await Credentials.load({ kubeconfig, connections: 2 }));
    closing.push(() => client.close());
    const name = await new Promise<string | undefined>((resolve) => {
      const informer = new Informer({
        client,
        resource: pods,
        labelSelector: 'a=b',
        logger: createLogger('informer', { level: process.env['ALOFT_TEST_LOG'] ?? 'silent' }),
        onChanged: ({ metadata }) => resolve(metadata?.name),
        onGone: () => undefined,
      });
      closing.push(() => informer.stop());
      informer.start();
    });
    expect(name).toBe('late');
  }, 60_000);
});
