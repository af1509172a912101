import type { Logger } from '@aloft/telemetry';
import { Backoff } from './backoff.js';
import type { ClusterClient, WatchEvent } from './client.js';
import { Refusal } from './refusal.js';
import { pathOf, type ClusterObject, type Resource } from './resource.js';

export interface InformerOptions {
  client: Pick<ClusterClient, 'list' | 'watch' | 'name'>;
  resource: Resource;
  /** Absent: all. */
  namespace?: string | undefined;
  labelSelector: string;
  logger: Logger;
  /** What of an object is kept and told. */
  slim?: (object: ClusterObject) => ClusterObject;
  /** It is there, or is another than before. */
  onChanged: (object: ClusterObject) => void;
  /** It is there no more; as it was last seen, in the server's own words where those came. */
  onGone: (object: ClusterObject) => void;
  backoffMs?: { first: number; longest: number };
  /** Milliseconds in which a watch that lives says something (bookmarks come every minute). */
  idleMs?: number;
  random?: () => number;
}

/** Objects of one page of a list. */
const pageSize = 500;

/**
 * What a cluster has of one type and label, followed by one watch: listed once, resumed where it broke off, listed again only where
 * the server has forgotten what came since (410). Whatever changed meanwhile is told as if it had been seen.
 */
export class Informer {
  private readonly objects = new Map<string, ClusterObject>();
  private readonly path: string;
  private readonly backoff: Backoff;
  private readonly slim: (object: ClusterObject) => ClusterObject;
  private readonly ending = new AbortController();
  private version: string | undefined;
  private running: Promise<void> | undefined;
  private wake: () => void = () => undefined;
  private listed: (() => void)[] = [];
  private troubleSince: number | undefined;
  private everListed = false;
  /** For measuring: lists and watches begun. */
  readonly counts = { lists: 0, watches: 0 };

  constructor(private readonly options: InformerOptions) {
    this.path = pathOf(options.resource, options.namespace);
    const { first, longest } = options.backoffMs ?? { first: 200, longest: 30_000 };
    this.backoff = new Backoff(first, longest, options.random);
    this.slim = options.slim ?? ((object) => object);
  }

  /** Begins; see {@link synced}. */
  start(): void {
    this.running ??= this.run();
  }

  /** Resolves when everything there is was listed once. */
  async synced(): Promise<void> {
    if (!this.everListed) await new Promise<void>((resolve) => this.listed.push(resolve));
  }

  get isSynced(): boolean {
    return this.everListed;
  }

  /** Milliseconds since it could last be read; `undefined` while it can. */
  get troubleMs(): number | undefined {
    return this.troubleSince === undefined ? undefined : performance.now() - this.troubleSince;
  }

  get size(): number {
    return this.objects.size;
  }

  all(): IterableIterator<ClusterObject> {
    return this.objects.values();
  }

  get(namespace: string, name: string): ClusterObject | undefined {
    return this.objects.get(`${namespace}/${name}`);
  }

  async stop(): Promise<void> {
    this.ending.abort();
    this.wake();
    for (const tell of this.listed.splice(0)) tell();
    await this.running;
  }

  private get stopped(): boolean {
    return this.ending.signal.aborted;
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      try {
        if (this.version === undefined) await this.list();
        const began = performance.now();
        await this.watch();
        // Whoever ends streams at once is not asked for the next one at once.
        if (performance.now() - began < 1_000) await this.rest(this.backoff.next());
      } catch (error) {
        if (this.stopped) return;
        await this.failed(error);
      }
    }
  }

  private async failed(error: unknown): Promise<void> {
    const { logger, resource, client } = this.options;
    const forgotten = error instanceof Refusal && (error.status === 410 || error.reason === 'Expired');
    if (forgotten) this.version = undefined;
    else this.troubleSince ??= performance.now();
    const ms = Math.max(this.backoff.next(), (error instanceof Refusal && error.retryAfterMs) || 0);
    const about = { err: error, cluster: client.name, kind: resource.kind, pause: Math.round(ms) };
    if (forgotten) logger.info(about, 'what changed in the cluster has to be listed again');
    else logger.warn(about, 'the cluster cannot be watched; it is tried again');
    await this.rest(ms);
  }

  private async rest(ms: number): Promise<void> {
    if (this.stopped) return;
    await new Promise<void>((over) => {
      const timer = setTimeout(over, ms);
      this.wake = () => (clearTimeout(timer), over());
    });
  }

  private async list(): Promise<void> {
    this.counts.lists++;
    const { client, labelSelector } = this.options;
    const there = new Map<string, ClusterObject>();
    let next: string | undefined;
    let version: string | undefined;
    do {
      const page = await client.list(this.path, { labelSelector, limit: pageSize, continue: next });
      for (const item of page.items) there.set(keyOf(item), this.slim(item));
      version = page.metadata?.resourceVersion;
      next = page.metadata?._continue ?? (page.metadata as { continue?: string } | undefined)?.continue;
    } while (next && !this.stopped);
    if (this.stopped) return;
    this.version = version;
    for (const [key, object] of this.objects) {
      const now = there.get(key);
      if (now?.metadata?.uid !== object.metadata?.uid) this.gone(object);
    }
    for (const object of there.values()) this.changed(object);
    this.everListed = true;
    this.reachable();
    for (const tell of this.listed.splice(0)) tell();
  }

  private async watch(): Promise<void> {
    this.counts.watches++;
    const { client, labelSelector, idleMs = 150_000, random = Math.random } = this.options;
    await client.watch(
      this.path,
      {
        labelSelector,
        resourceVersion: this.version,
        allowWatchBookmarks: true,
        // Many watches do not end at once.
        timeoutSeconds: Math.round(300 * (1 + random())),
      },
      { signal: this.ending.signal, idleMs, onEvent: (event) => this.take(event) },
    );
  }

  private take({ type, object }: WatchEvent): void {
    if (this.stopped) return;
    if (type === 'ERROR') {
      const status = object as { code?: number; reason?: string; message?: string };
      throw new Refusal(
        'OUT_OF_RANGE',
        `watching ${this.path}: ${status.message}`,
        status.code ?? 0,
        status.reason ?? '',
      );
    }
    this.version = object.metadata?.resourceVersion ?? this.version;
    this.reachable();
    if (type === 'BOOKMARK') return;
    if (type === 'DELETED') this.gone(this.slim(object));
    else this.changed(this.slim(object));
  }

  private reachable(): void {
    this.troubleSince = undefined;
    this.backoff.reset();
  }

  private changed(object: ClusterObject): void {
    const key = keyOf(object);
    const before = this.objects.get(key);
    if (
      before?.metadata?.uid === object.metadata?.uid &&
      before?.metadata?.resourceVersion === object.metadata?.resourceVersion
    )
      return;
    this.objects.set(key, object);
    this.options.onChanged(object);
  }

  private gone(object: ClusterObject): void {
    this.objects.delete(keyOf(object));
    this.options.onGone(object);
  }
}

const keyOf = ({ metadata }: ClusterObject): string => `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;
