import type { LinkState } from '../proxy/tcp-proxy.js';

export type Shape = 'embedded' | 'distributed';

/** What can be done to a process. */
export interface ProcessTarget {
  /** `propeller-0`, `kafka`, `postgres-backend`: faults name it in their report. */
  name: string;
  /** Kills without mercy. Resolves when it is gone; `start` brings it back. */
  kill(): Promise<void>;
  /** Asks it to stop; absent where nobody would. Answers how it ended. */
  stop?(): Promise<string>;
  pause(): boolean | Promise<boolean>;
  resume(): void | Promise<void>;
  /** Starts it again and waits until it is ready (a supervisor that does it anyway is waited for). */
  start(): Promise<void>;
}

/** A way between two parts that can be cut, silenced, slowed. */
export interface LinkTarget {
  /** `propeller-0 → kafka`. */
  name: string;
  set(state: LinkState): void;
}

/** The platform under test: how to reach it, and what can be done to it. */
export interface PlatformUnderTest {
  readonly shape: Shape;
  /** Of the gRPC API, through a proxy. */
  readonly grpc: string;
  /** Past the proxy: for what must not fail because of a fault in the client's own connection. */
  readonly directGrpc: string;
  readonly folder: string;
  /** Files with its output. */
  readonly logs: readonly string[];
  /** Partitions of the bus: a probe goes to each. */
  readonly partitions: number;
  /** How long two processes of one attempt may live side by side, ms (lease times; 0: never). */
  readonly fencingMs: number;
  /**
   * Targets of a role, always in the same order: `platform`, `launcher`, `postgres`, `postgres-backend`, `admin`, …; empty
   * where there are none at the moment.
   */
  processes(role: string): ProcessTarget[];
  links(role: string): LinkTarget[];
  /** Ends everything in good order; answers what was wrong with that. */
  stop(): Promise<string[]>;
}
