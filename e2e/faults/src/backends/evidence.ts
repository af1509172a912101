import type { Fate } from './fates.js';
import type { RunPlan } from './run-plan.js';

/** What a report said of an attempt's end. */
export interface EndRecord {
  at: number;
  phase: string;
  kind?: string;
  code?: string;
  message?: string;
}

export interface AttemptRecord {
  run: string;
  /** Its derived name, with the generation. */
  id: string;
  item: number;
  /** 0: the first. */
  retry: number;
  fate: Fate;
  interruptible: boolean;
  launchedAt: number;
  /** When it was told to end. */
  abortedAt?: number;
  /** Every terminal report that came, in order: more than one where a host told it again. */
  ends: EndRecord[];
}

/** A job (or pod) that the backend made. */
export interface JobRecord {
  attempt: string;
  /** The backend's own name for it. */
  id: string;
  at: number;
  spot: boolean;
}

export interface RunRecord {
  plan: RunPlan;
  launchedAt: number;
  endedAt?: number;
  phase?: string;
  code?: string;
  attempts: AttemptRecord[];
}

export interface BackendFault {
  n: number;
  kind: string;
  target: string;
  from: number;
  /** When what was taken away was given back. */
  to?: number;
}

/** Everything that a round leaves behind to be judged. Times: milliseconds of this machine's clock. */
export interface BackendEvidence {
  seed: number;
  shape: string;
  /** What somebody deletes stays until its host has seen its end. */
  holdsJobs: boolean;
  faults: readonly BackendFault[];
  runs: readonly RunRecord[];
  jobs: readonly JobRecord[];
  /** What the backend had yet some time after the last end. */
  left: readonly string[];
  incidents: readonly string[];
  endedAt: number;
}
