import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import type { Action, Exchange } from '../proxy/http-proxy.js';
import type { JobRecord } from './evidence.js';
import type { Fate, Verdicts } from './fates.js';

/** What a host asks of its backend. */
export type Errand = 'submit' | 'end' | 'look' | 'watch' | 'other';

/** The real part that a backend drives, and what the harness has to know of it. */
export interface Part {
  readonly backend: 'kubernetes' | 'aws-batch';
  readonly verdicts: Verdicts;
  /** Whether what somebody deletes stays until its host has seen its end. */
  readonly holdsJobs?: boolean;
  /** Where its API is. */
  readonly upstream: string;
  /** The hosts' configuration (`backends` of the platform's), where the API is reached by `url`. */
  config(url: string, folder: string): Record<string, unknown>;
  errandOf(exchange: Exchange): Errand;
  /** Whether these bytes tell a host that work has ended. */
  tellsOfEnd(bytes: Buffer): boolean;
  refusal(what: 'throttle' | 'fail' | 'expired'): Action;
  /** An answer went by: what was made is written down here, and may be shown otherwise than it is. */
  answered(exchange: Exchange): void;
  /** Says the work what is to befall it. */
  prepare(launch: LaunchTask, fate: Fate, runMs: number): void;
  /** Every job that was ever made. */
  readonly jobs: readonly JobRecord[];
  /** What is there yet although no attempt is. */
  left(): Promise<string[]>;
  /** SIGKILL of its API and a new process; absent where it has none of its own. */
  restart?: (() => Promise<void>) | undefined;
  /** What it tells by itself comes late, twice and in the wrong order meanwhile; absent where it tells nothing. */
  confuse?: ((on: boolean) => void) | undefined;
  stop(): Promise<void>;
}
