import type { BlobStore } from '@aloft/blob';
import type { Bus } from '@aloft/bus';
import type { Database } from '@aloft/database';
import type { Logger } from '@aloft/telemetry';
import type { BackendPlugin } from '../contract.js';
import type { LogTemplate } from '../log-links/log-links.js';
import type { HostChannel } from './host-channel.js';
import type { ReportSenderOptions } from './report-sender.js';
import type { WorkStore } from './work-store.js';

export interface BackendHostOptions {
  plugin: BackendPlugin;
  bus: Pick<Bus, 'consume' | 'deliver'>;
  /** Holds the tables of `backendMigrations` and of the bus's consumer. */
  database: Database;
  store: WorkStore;
  blob: BlobStore;
  logger: Logger;
  /** Links that every attempt's reports get besides the plugin's own (C-176). */
  links?: readonly LogTemplate[];
  /** Stable over restarts: who holds an attempt. */
  name: string;
  /** Milliseconds (default 15,000) after which a silent host's work may be taken by another. */
  leaseMs?: number;
  /**
   * Other hosts have the same backend: work of one whose lease ended is taken over, so everything is written before it is
   * done or told, and work waits where there is room. They talk over this channel. Absent: nobody else takes anything.
   */
  channel?: HostChannel;
  /**
   * What a clean stop does. `leave` (default): work goes on and is found by the next process of the same name. `hand-over`:
   * running work gets a while to end, then what is left is ended and other hosts have it at once.
   */
  onStop?: 'leave' | 'hand-over';
  /** Milliseconds (default 1 hour) that a late launch of an ended attempt is still recognised. */
  fenceMs?: number;
  /** Milliseconds that an attempt which needs more than is ever free waits before younger ones make room. */
  patienceMs?: number;
  /** Commands in one transaction at most (default 1000). */
  maxBatch?: number;
  /** Pause in milliseconds before a launch is tried again: first and longest. */
  relaunchMs?: { first: number; longest: number };
  reports?: Partial<Omit<ReportSenderOptions, 'bus' | 'logger'>>;
  /** Seconds that go on while process or machine sleep (default `os.uptime`). */
  clock?: () => number;
  /**
   * The lease is gone: nothing is taken on or told any more. `fenced`: a newer process of this name has the work; else it was
   * ended here. Such a host is to be stopped; another may start in its place.
   */
  onLost?: (state: 'fenced' | 'taken' | 'expired') => void;
}
