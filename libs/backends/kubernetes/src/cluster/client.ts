import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { AloftError, unavailable } from '@aloft/errors';
import type { KubernetesListObject, KubernetesObject } from '@kubernetes/client-node';
import type { Credentials } from './credentials.js';
import { Lines } from './lines.js';
import { refusalOf } from './refusal.js';
import { pathOf, type ClusterObject, type Resource } from './resource.js';

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

interface Call {
  method: string;
  path: string;
  query?: Query;
  body?: unknown;
  type?: string;
  accept?: string;
  /** "deleting the pod x", for errors. */
  doing: string;
  signal?: AbortSignal | undefined;
}

export interface WatchEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  object: ClusterObject;
}

/** Milliseconds without an answer after which a request counts as lost. */
const answerMs = 15_000;
/** Objects of one page of a list. */
const pageSize = 500;

/**
 * The API of one cluster over connections that are kept. Errors are `Refusal`s, or UNAVAILABLE where there was no answer: a write
 * may have been done then.
 */
export class ClusterClient {
  constructor(
    /** The cluster's name in the configuration. */
    readonly name: string,
    private readonly credentials: Credentials,
  ) {}

  create<T extends KubernetesObject>(resource: Resource, namespace: string, object: T): Promise<T> {
    return this.json<T>({
      method: 'POST',
      path: pathOf(resource, namespace),
      body: object,
      doing: `creating the ${resource.kind} ${namespace}/${object.metadata?.name}`,
    });
  }

  get<T extends KubernetesObject>(resource: Resource, namespace: string, name: string): Promise<T> {
    const doing = `reading the ${resource.kind} ${namespace}/${name}`;
    return this.json<T>({ method: 'GET', path: pathOf(resource, namespace, name), doing });
  }

  /** `path`: of a resource that may not lie in a namespace. Server-side apply: made, or changed to what `object` says. */
  async apply(path: string, object: KubernetesObject): Promise<void> {
    const { kind, metadata } = object;
    await this.json({
      method: 'PATCH',
      path: `${path}/${encodeURIComponent(metadata?.name ?? '')}`,
      query: { fieldManager: 'aloft', force: true },
      body: object,
      type: 'application/apply-patch+yaml',
      doing: `applying the ${kind} ${metadata?.namespace ? `${metadata.namespace}/` : ''}${metadata?.name}`,
    });
  }

  /** Resolves to what the server says of it, or to `undefined` if there was none (any more), or, with a `uid`, if it is another one by now. */
  async delete(
    resource: Resource,
    namespace: string,
    name: string,
    options: { graceSeconds?: number; uid?: string | undefined } = {},
  ): Promise<ClusterObject | undefined> {
    const body = {
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      propagationPolicy: 'Background',
      ...(options.graceSeconds === undefined ? {} : { gracePeriodSeconds: options.graceSeconds }),
      ...(options.uid === undefined ? {} : { preconditions: { uid: options.uid } }),
    };
    const doing = `deleting the ${resource.kind} ${namespace}/${name}`;
    return unlessGone(
      this.json<ClusterObject>({ method: 'DELETE', path: pathOf(resource, namespace, name), body, doing }),
    );
  }

  /** Takes a finalizer away from an object of a kind that Kubernetes has itself; those of others stay. Nothing if it is gone, or another one by now. */
  async release(resource: Resource, finalizer: string, { metadata }: ClusterObject): Promise<void> {
    const { namespace = '', name = '', uid } = metadata ?? {};
    await unlessGone(
      this.json({
        method: 'PATCH',
        path: pathOf(resource, namespace, name),
        body: { metadata: { uid, '$deleteFromPrimitiveList/finalizers': [finalizer] } },
        type: 'application/strategic-merge-patch+json',
        doing: `letting go of the ${resource.kind} ${namespace}/${name}`,
      }),
    );
  }

  list(path: string, query: Query): Promise<KubernetesListObject<ClusterObject>> {
    return this.json({ method: 'GET', path, query, doing: `listing ${path}` });
  }

  /** Everything of a list, page by page. */
  async *every(path: string, query: Query): AsyncGenerator<ClusterObject> {
    let next: string | undefined;
    do {
      const { items, metadata } = await this.list(path, { ...query, limit: pageSize, continue: next });
      yield* items;
      next = metadata?._continue ?? (metadata as { continue?: string } | undefined)?.continue;
    } while (next);
  }

  /** What the server has under a path that is no object's: groups, versions, metrics. */
  read<T>(path: string): Promise<T> {
    return this.json({ method: 'GET', path, doing: `reading ${path}` });
  }

  /** Likewise, of what is no JSON. */
  text(path: string): Promise<string> {
    return this.answer({ method: 'GET', path, doing: `reading ${path}`, accept: 'text/plain' });
  }

  /** Resolves when the server ends the stream; rejects when it breaks, or nothing came for `idleMs`. */
  async watch(
    path: string,
    query: Query,
    options: { onEvent: (event: WatchEvent) => void; idleMs: number; signal: AbortSignal },
  ): Promise<void> {
    const doing = `watching ${path}`;
    const { signal, onEvent, idleMs } = options;
    // A watch is answered at once; what it tells may take its time.
    const response = await this.send(
      { method: 'GET', path, query: { ...query, watch: true }, doing, signal },
      answerMs,
    );
    response.setTimeout(idleMs, () => response.destroy(new Error(`nothing came for ${idleMs / 1000} s`)));
    if (response.statusCode !== 200) throw await refused(doing, response);
    const lines = new Lines((line) => onEvent(JSON.parse(line) as WatchEvent));
    await new Promise<void>((resolve, reject) => {
      const broken = (error: unknown) => reject(unreachable(doing, error));
      response.on('data', (chunk: Buffer) => {
        try {
          lines.add(chunk);
        } catch (error) {
          // First: what is destroyed says that it was cut, before it says why.
          broken(error);
          response.destroy();
        }
      });
      response.once('end', resolve);
      response.once('error', broken);
      response.once('aborted', () => broken(new Error('the connection was cut')));
    });
  }

  close(): void {
    this.credentials.close();
  }

  private async json<T>(call: Call): Promise<T> {
    return JSON.parse(await this.answer(call)) as T;
  }

  private async answer(call: Call): Promise<string> {
    const response = await this.send(call, answerMs);
    const status = response.statusCode ?? 0;
    if (status < 200 || status > 299) {
      if (status === 401) this.credentials.renew();
      throw await refused(call.doing, response);
    }
    return textOf(call.doing, response);
  }

  private async send(
    { method, path, query, body, type, accept = 'application/json', doing, signal }: Call,
    idleMs: number,
  ) {
    const { server, headers, agent } = await this.credentials.current();
    const url = new URL(`${server.replace(/\/+$/, '')}${path}`);
    for (const [key, value] of Object.entries(query ?? {}))
      if (value !== undefined) url.searchParams.set(key, String(value));
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const options = {
      method,
      agent,
      headers: {
        ...headers,
        accept,
        ...(payload ? { 'content-type': type ?? 'application/json', 'content-length': payload.length } : {}),
      },
      timeout: idleMs,
      ...(signal ? { signal } : {}),
    };
    return new Promise<IncomingMessage>((resolve, reject) => {
      const request = (url.protocol === 'http:' ? http : https).request(url, options, resolve);
      request.once('error', (error) => reject(unreachable(doing, error)));
      request.once('timeout', () => request.destroy(new Error(`nothing came for ${idleMs / 1000} s`)));
      request.end(payload);
    });
  }
}

/** `undefined` for what is not there, or is not what was meant. */
async function unlessGone<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof AloftError) || !['NOT_FOUND', 'ABORTED'].includes(error.code)) throw error;
    return undefined;
  }
}

async function refused(doing: string, response: IncomingMessage) {
  const retryAfter = response.headers['retry-after'];
  return refusalOf(doing, response.statusCode ?? 0, await textOf(doing, response), retryAfter);
}

async function textOf(doing: string, response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response) chunks.push(chunk as Buffer);
  } catch (error) {
    throw unreachable(doing, error);
  }
  return Buffer.concat(chunks).toString('utf8');
}

const unreachable = (doing: string, error: unknown): AloftError =>
  error instanceof AloftError ? error : unavailable(`${doing}: ${(error as Error).message}`, { cause: error });
