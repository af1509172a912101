import { mkdtempSync, readFileSync } from 'node:fs';
import { request } from 'node:https';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { V1Pod } from '@kubernetes/client-node';

interface Answer {
  status: number;
  // Whatever the API has there.
  body: { items?: V1Pod[]; [field: string]: unknown };
}

/** What `tools/infra/kube.mjs` starts. */
export interface Kube {
  url: string;
  token: string;
  kubeconfig: string;
  dir: string;
  call(method: string, path: string, body?: unknown, type?: string): Promise<Answer>;
  restartApi(): Promise<void>;
  stop(): Promise<void>;
}

/** What `startKubelet` of `tools/infra/kube-nodes.mjs` starts. */
export interface RealNode {
  importImage(image: { name: string; folder: string; command: string[]; env?: Record<string, string> }): void;
  stop(): Promise<void>;
}

interface Nodes {
  startScheduler(at: unknown): Promise<{ stop(): Promise<void> }>;
  startKwok(at: unknown): Promise<{ stop(): Promise<void> }>;
  startKubelet(at: unknown): Promise<RealNode>;
}

/** A real API server with a real scheduler, and nodes as wanted: pretended ones (kwok), or this machine. */
export async function startCluster(nodes: {
  kwok?: number;
  real?: boolean;
  /** Pods need their service accounts, and those have to be made. */
  accounts?: boolean;
}): Promise<Kube & { node: RealNode | undefined }> {
  const kept = process.env['ALOFT_TEST_CLUSTER'];
  if (kept) return keptCluster(kept);
  const infra = new URL('../../../../../tools/infra/', import.meta.url);
  const { start } = (await import(new URL('kube.mjs', infra).href)) as {
    start(options: { dir: string; accounts?: boolean | undefined }): Promise<Kube>;
  };
  const { startScheduler, startKwok, startKubelet } = (await import(new URL('kube-nodes.mjs', infra).href)) as Nodes;
  const dir = mkdtempSync(join(tmpdir(), 'aloft-kube-'));
  const api = await start({ dir, accounts: nodes.accounts });
  const running: { stop(): Promise<void> }[] = [api];
  const stop = async () => {
    for (const each of running.splice(0).reverse()) await each.stop();
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const at = { dir, kubeconfig: api.kubeconfig, call: api.call };
    running.push(await startScheduler(at));
    if (nodes.kwok) running.push(await startKwok({ ...at, nodes: nodes.kwok }));
    const node = nodes.real ? await startKubelet(at) : undefined;
    if (node) running.push(node);
    return { ...api, dir, node, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** One that is there already, for many runs of one spec: a file with its url, token and kubeconfig. */
function keptCluster(file: string): Kube & { node: undefined } {
  const { url, token, kubeconfig } = JSON.parse(readFileSync(file, 'utf8')) as Pick<
    Kube,
    'url' | 'token' | 'kubeconfig'
  >;
  const call: Kube['call'] = (method, path, body, type = 'application/json') =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': type }) };
      const options = { method, headers, rejectUnauthorized: false };
      const asked = request(`${url}${path}`, options, (response) => {
        let text = '';
        response.on('data', (chunk) => (text += String(chunk)));
        response.once('end', () =>
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as Answer['body'] }),
        );
      });
      asked.once('error', reject);
      asked.end(body === undefined ? undefined : JSON.stringify(body));
    });
  const nothing = async () => undefined;
  return { url, token, kubeconfig, dir: '', call, restartApi: nothing, stop: nothing, node: undefined };
}
