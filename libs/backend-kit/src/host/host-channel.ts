import type { Database } from '@aloft/database';
import type { Logger } from '@aloft/telemetry';
import pg from 'pg';

/** What one shape of attempt asks for, or a host has free. */
export interface Room {
  milliCpu: number;
  memoryBytes: number;
  gpu: number;
  slots: number;
}

/**
 * What hosts of one backend tell each other. Every note only says "look": a lost one is made up for by the look that each
 * host takes with the renewal of its lease.
 */
export type HostNote =
  /** Rows of `to` were marked for abortion. */
  | { kind: 'aborts'; to: string }
  /** `to` has to end older generations; they were ended. */
  | { kind: 'superseded'; to: string }
  | { kind: 'superseded-ended' }
  /** There is work that nobody holds. */
  | { kind: 'released' }
  /** Came just now: whoever has something to say, says it again. */
  | { kind: 'hello' }
  /** Work waits here for capacity, the oldest for so many milliseconds; room for `to`'s; there is nothing (more) for it. */
  | { kind: 'waiting'; oldestMs: number }
  | { kind: 'room'; to: string; room: Room }
  | { kind: 'enough'; to: string }
  /** Rows are `to`'s now. */
  | { kind: 'given'; to: string };

export type HostMessage = HostNote & { from: string; backend: string };

export interface HostChannel {
  /** Calls back with what others say, from when it resolves. */
  open(onNote: (note: HostMessage) => void): Promise<void>;
  /** Best effort; never rejects. */
  tell(note: HostNote): Promise<void>;
  close(): Promise<void>;
}

const reconnectMs = 200;

/** {@link HostChannel} over NOTIFY: one connection that listens; what is said goes outside of any transaction. */
export class PostgresHostChannel implements HostChannel {
  private client: pg.Client | undefined;
  private onNote: (note: HostMessage) => void = () => undefined;
  private retry: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(
    private readonly database: Database,
    private readonly backend: string,
    private readonly host: string,
    private readonly logger: Logger,
  ) {}

  /** Channels belong to a database, not to a schema. */
  private get channel(): string {
    return `aloft_hosts_${this.database.schema}`;
  }

  async open(onNote: (note: HostMessage) => void): Promise<void> {
    this.onNote = onNote;
    await this.connect();
  }

  async tell(note: HostNote): Promise<void> {
    const message: HostMessage = { ...note, from: this.host, backend: this.backend };
    try {
      await this.database.query('SELECT pg_notify($1, $2)', [this.channel, JSON.stringify(message)]);
    } catch (error) {
      if (!this.closed)
        this.logger.warn({ err: error, note: note.kind }, 'other hosts could not be told; they look later');
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.retry);
    const { client } = this;
    this.client = undefined;
    await client?.end().catch(() => undefined); // Broken already: then it is closed, too.
  }

  private async connect(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.database.url,
      application_name: `aloft-host-${this.backend}`.slice(0, 63),
      keepAlive: true,
    });
    client.on('notification', ({ payload = '' }) => {
      const note = JSON.parse(payload) as HostMessage;
      if (note.backend !== this.backend || note.from === this.host) return;
      if ('to' in note && note.to !== this.host) return;
      this.onNote(note);
    });
    client.on('error', (error) => this.logger.warn({ err: error }, 'the connection to other hosts was lost'));
    client.on('end', () => this.again(client));
    try {
      await client.connect();
      await client.query(`LISTEN ${this.channel}`);
      if (this.closed) return void (await client.end());
      this.client = client;
    } catch (error) {
      this.logger.warn({ err: error }, 'other hosts cannot be heard; tried again');
      await client.end().catch(() => undefined);
      this.again(client);
    }
  }

  private again(client: pg.Client): void {
    if (this.closed || this.retry || (this.client && this.client !== client)) return;
    this.client = undefined;
    this.retry = setTimeout(() => {
      this.retry = undefined;
      void this.connect();
    }, reconnectMs);
  }
}
