import { randomUUID } from 'node:crypto';
import type { Logger } from '@aloft/telemetry';
import pg from 'pg';

/** Postgres' limit is 8000 bytes. */
const maxPayload = 7900;
const reconnectMs = 200;

/** Position of the last message of a stream. */
export interface Head {
  topic: string;
  partition: number;
  head: bigint;
}

export interface WakeHandlers {
  /** Another process published. */
  heads(heads: readonly Head[]): void;
  /** Anything may have been published unheard: look at the tables. */
  missed(): void;
  /** Another process gave up leases of a group, or has come to share them. */
  released(group: string): void;
}

type Note =
  | { kind: 'hello' | 'here' | 'bye'; from: string }
  | { kind: 'heads'; from: string; heads: [string, number, string][] }
  | { kind: 'released'; from: string; group: string };

/**
 * The one LISTEN connection of a process, and its voice to the others. Notifications are sent after the commit that they
 * tell of, gathered while one is under way: NOTIFY inside the transactions would make all publishers' commits wait for
 * one another. They are not sent at all while no other process listens: whoever starts says hello, those who hear it
 * answer (and notify from then on), and the answer makes the newcomer look at the tables once more.
 */
export class Wake {
  readonly id = randomUUID();
  readonly #others = new Set<string>();
  readonly #pending = new Map<string, Head>();
  readonly #released = new Set<string>();
  #telling: Promise<void> = Promise.resolve();
  #client: pg.Client | undefined;
  #listening = false;
  #sending: Promise<void> | undefined;
  #connecting: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    /** `channel`: of NOTIFY, one a schema or driver; a plain identifier. */
    readonly where: { url: string; channel: string },
    readonly handlers: WakeHandlers,
    readonly log: Logger,
  ) {}

  /** Listens from now on; again after a loss. */
  start(): void {
    this.#connecting ??= this.#connect();
  }

  /** Somebody else may be waiting for what we publish. */
  get #heardByOthers(): boolean {
    return !this.#listening || this.#others.size > 0;
  }

  announce(heads: readonly Head[]): void {
    if (this.#closed || !this.#heardByOthers) return;
    for (const head of heads) this.#pending.set(`${head.topic}/${head.partition}`, head);
    this.start();
    this.#startSending();
  }

  /** Leases of a group were given up, or somebody came who wants some: the others should look. */
  async released(group: string): Promise<void> {
    if (this.#closed) return;
    this.#released.add(group);
    this.start();
    await this.#sayReleased();
  }

  async #sayReleased(): Promise<void> {
    if (!this.#listening) return; // Said as soon as we listen.
    const groups = [...this.#released];
    this.#released.clear();
    for (const group of groups) await this.#say({ kind: 'released', from: this.id, group });
  }

  /** Forgets processes that died without a word; they cost a notification a commit. */
  async prune(): Promise<void> {
    if (!this.#client || this.#others.size === 0) return;
    const client = this.#client;
    const asked = this.#telling.then(() =>
      client.query<{ name: string }>(
        'SELECT application_name AS name FROM pg_stat_activity WHERE datname = current_database()',
      ),
    );
    this.#telling = asked.then(
      () => undefined,
      () => undefined,
    );
    const { rows } = await asked;
    const alive = new Set(rows.map((row) => row.name));
    for (const other of this.#others) if (!alive.has(applicationName(other))) this.#others.delete(other);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    await this.#connecting;
    await this.#sending;
    const client = this.#client;
    this.#client = undefined;
    if (!client) return;
    if (this.#listening) await this.#tell(client, { kind: 'bye', from: this.id }).catch(() => undefined);
    await client.end().catch(() => undefined);
  }

  async #connect(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.where.url,
      application_name: applicationName(this.id),
      keepAlive: true,
    });
    client.on('notification', ({ payload }) => this.#heard(payload ?? ''));
    client.on('error', (error) => this.log.warn({ err: error }, 'the bus lost its LISTEN connection'));
    client.on('end', () => this.#lost(client));
    try {
      await client.connect();
      if (this.#closed) return void (await client.end());
      this.#client = client;
      await client.query(`LISTEN ${this.where.channel}`);
      this.#listening = true;
      await this.#tell(client, { kind: 'hello', from: this.id });
      this.#startSending();
      void this.#sayReleased();
      this.handlers.missed();
    } catch (error) {
      this.log.warn({ err: error }, 'the bus could not listen; it tries again');
      await client.end().catch(() => undefined);
      this.#lost(client);
    }
  }

  #lost(client: pg.Client): void {
    if (this.#client === client) this.#client = undefined;
    this.#listening = this.#listening && this.#client !== undefined;
    if (this.#closed || this.#client || this.#retry) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#connecting = this.#connect();
    }, reconnectMs);
    this.#retry.unref();
  }

  #heard(payload: string): void {
    const note = JSON.parse(payload) as Note;
    if (note.from === this.id) return;
    if (note.kind === 'bye') return void this.#others.delete(note.from);
    this.#others.add(note.from);
    switch (note.kind) {
      case 'hello':
        void this.#say({ kind: 'here', from: this.id });
        return;
      case 'here':
        this.handlers.missed();
        return;
      case 'heads':
        this.handlers.heads(note.heads.map(([topic, partition, head]) => ({ topic, partition, head: BigInt(head) })));
        return;
      case 'released':
        this.handlers.released(note.group);
    }
  }

  #startSending(): void {
    if (this.#sending || this.#pending.size === 0 || !this.#listening) return;
    this.#sending = this.#send().finally(() => {
      this.#sending = undefined;
      this.#startSending();
    });
  }

  async #send(): Promise<void> {
    while (this.#pending.size > 0 && this.#listening) {
      const heads: [string, number, string][] = [];
      let size = 100;
      for (const [name, { topic, partition, head }] of this.#pending) {
        size += Buffer.byteLength(topic) + 40;
        if (heads.length > 0 && size > maxPayload) break;
        heads.push([topic, partition, String(head)]);
        this.#pending.delete(name);
      }
      await this.#say({ kind: 'heads', from: this.id, heads });
    }
  }

  /** A lost notification is made up for by the readers' own look at the tables now and then. */
  async #say(note: Note): Promise<void> {
    const client = this.#client;
    if (!client) return;
    await this.#tell(client, note).catch((error) => this.log.warn({ err: error }, 'the bus could not notify'));
  }

  /** One statement at a time on the connection. */
  #tell(client: pg.Client, note: Note): Promise<void> {
    const told = this.#telling.then(async () => {
      await client.query('SELECT pg_notify($1, $2)', [this.where.channel, JSON.stringify(note)]);
    });
    this.#telling = told.catch(() => undefined); // Its own caller gets the error.
    return told;
  }
}

const applicationName = (id: string): string => `aloft-bus-${id}`;
