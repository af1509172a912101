import type { Propeller, PropellerStatus } from './propeller.js';

/** The propeller's life, ordered by whoever composes the process. */
export class PropellerService {
  constructor(
    readonly propeller: Propeller,
    /** What it calls; each rejects while it cannot be reached. */
    readonly callees: Readonly<Record<'admin' | 'catalog', () => Promise<void>>>,
    private readonly closeClients: () => void,
  ) {}

  /** After the servers that it calls listen. Resolves when the free shards are owned and read. */
  start(): Promise<void> {
    return this.propeller.start();
  }

  /** Stops consuming, commits what was taken, hands the shards over. Before the bus and the pools are closed. */
  async stop(): Promise<void> {
    await this.propeller.stop();
    this.closeClients();
  }

  status(): PropellerStatus {
    return this.propeller.status();
  }

  /** For a readiness check: throws the reason while nothing can be consumed. */
  check(): void {
    this.propeller.check();
  }
}
