import { toAloftError } from '@aloft/errors';
import type { Agent } from '@aloft/idl/flyteidl/admin/agent';
import type { Logger } from '@aloft/telemetry';
import type { Connection } from './connection.js';

/** Who runs a task type. */
export interface Served {
  connection: Connection;
  sync: boolean;
}

interface Listing {
  /** By `type@version`. */
  served: ReadonlyMap<string, boolean>;
  types: ReadonlySet<string>;
}

export interface DirectoryOptions {
  connections: readonly Connection[];
  fallback: Connection | undefined;
  everyMs: number;
  logger: Logger;
}

const keyOf = (type: string, version: number): string => `${type}@${version}`;

/**
 * Which server runs which task type: asked of each at the start and again every now and then, since connectors are deployed without us. A
 * server that cannot be reached keeps what it last listed.
 */
export class Directory {
  private readonly listings = new Map<Connection, Listing>();
  private all: readonly string[] = [];
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> | undefined;

  constructor(private readonly options: DirectoryOptions) {}

  async start(): Promise<void> {
    await this.look();
    this.timer = setInterval(() => void this.look(), this.options.everyMs).unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** Whether every server has said what it serves: what none has then is served by none. */
  get isComplete(): boolean {
    return this.options.connections.every((connection) => this.listings.has(connection));
  }

  /** Every task type that is served, sorted. */
  get types(): readonly string[] {
    return this.all;
  }

  /** The first server that lists the type in this version; else one that is configured for the type; else the fallback. */
  find(type: string, version: number): Served | undefined {
    for (const [connection, { served }] of this.listings) {
      const sync = served.get(keyOf(type, version));
      if (sync !== undefined) return { connection, sync };
    }
    const configured = this.options.connections.find(({ server }) => server.taskTypes.includes(type));
    const connection = configured ?? this.options.fallback;
    return connection && { connection, sync: false };
  }

  /** Asks all servers; looks that overlap are one. Never rejects. */
  look(): Promise<void> {
    this.looking ??= Promise.all(this.options.connections.map((connection) => this.list(connection)))
      .then(() => {
        const { connections } = this.options;
        const listed = [...this.listings.values()].flatMap(({ types }) => [...types]);
        this.all = [...new Set([...listed, ...connections.flatMap(({ server }) => server.taskTypes)])].sort();
      })
      .finally(() => (this.looking = undefined));
    return this.looking;
  }

  private async list(connection: Connection): Promise<void> {
    const { server, metadata } = connection;
    try {
      const { agents } = await metadata.listAgents({});
      this.listings.set(connection, listingOf(agents));
    } catch (thrown) {
      const error = toAloftError(thrown);
      // Servers from before there were lists: what is configured for them is all that is known.
      if (error.code === 'UNIMPLEMENTED') this.listings.set(connection, listingOf([]));
      else
        this.options.logger.warn({ err: error, connector: server.name }, 'a connector cannot say what it serves yet');
    }
  }
}

function listingOf(agents: readonly Agent[]): Listing {
  const served = new Map<string, boolean>();
  const types = new Set<string>();
  for (const { isSync, supportedTaskCategories, supportedTaskTypes } of agents) {
    const categories =
      supportedTaskCategories.length > 0
        ? supportedTaskCategories
        : supportedTaskTypes.map((name) => ({ name, version: 0 }));
    for (const { name, version } of categories) {
      served.set(keyOf(name, version), isSync);
      types.add(name);
    }
  }
  return { served, types };
}
