/** All times are milliseconds of this machine's wall clock, whoever wrote them. */

/** One line that a task wrote about itself. */
export interface Mark {
  what: 'start' | 'end';
  run: string;
  step: string;
  attempt: number;
  /** Item of a map. */
  index?: number;
  /** Name of the attempt's folder, with its generation. */
  attemptId: string;
  /** `pid.start`: a process for good. */
  process: string;
  at: number;
  /** When the platform began the attempt; `at` where nobody knows. */
  claimedAt: number;
  outcome?: 'ok' | 'failed' | 'aborted';
  /** What a cached step made. */
  value?: string;
}

export interface FaultRecord {
  n: number;
  kind: string;
  target: string;
  /** When it began. */
  from: number;
  /** When what was taken away was given back: the process ready, the line whole. */
  to?: number;
  /** When new work was done again. */
  recoveredAt?: number;
  /** Another fault hit before that. */
  disturbed?: boolean;
  detail?: string;
}

export type Phase = 'SUCCEEDED' | 'FAILED' | 'ABORTED' | 'TIMED_OUT';

/** One change that Watch told of, when it came. */
export interface Observation {
  at: number;
  sequence: number;
  /** From a snapshot: it may repeat what is known. */
  snapshot: boolean;
  of: 'run' | 'node' | 'task';
  /** Unique node id; empty for the run. */
  node: string;
  attempt?: number;
  phase: string;
  /** Nothing may follow it. */
  terminal: boolean;
}

export interface NodeRecord {
  id: string;
  /** Id in the text of the workflow, by which its task marks itself. */
  step: string;
  phase: string;
  /** Served from the catalog. */
  cacheHit: boolean;
  /** Steps run by a task of their own (not a workflow, branch, start or end node). */
  tasks: TaskRecord[];
  /** The child execution of a launch plan node. */
  child?: string;
}

export interface TaskRecord {
  attempt: number;
  phase: string;
  /** Of a map: phase of each item's latest attempt. */
  items?: { index: number; attempt: number; phase: string }[];
}

/** What a run's shape must give. */
export interface Expectation {
  phase: 'SUCCEEDED' | 'FAILED' | 'ABORTED';
  /** Exact outputs; absent where the run has none or they can't be foretold. */
  outputs?: Readonly<Record<string, unknown>>;
  /** Part of the error's message. */
  error?: string;
  /** Steps, and how often each starts when nothing goes wrong; `min` less where it may not come to it. */
  steps: readonly StepExpectation[];
}

export interface StepExpectation {
  step: string;
  index?: number;
  /** Starts by plan: 1 and its planned failures. */
  starts: number;
  /** May be less: an abort or a failure elsewhere may come first. */
  optional?: boolean;
  /** Started by nobody while nothing is remembered; a hit leaves no mark. */
  cacheKey?: string;
}

export interface RunRecord {
  name: string;
  shape: string;
  expect: Expectation;
  launchedAt: number;
  /** When its end was seen. */
  endedAt?: number;
  phase?: Phase;
  outputs?: Record<string, unknown>;
  error?: string;
  observations: Observation[];
  /** Sequence numbers that were told more than once, left out, or out of order. */
  streamFaults: string[];
  nodes: NodeRecord[];
  /** Errors of calls that a stock client would not have tried again. */
  clientErrors: string[];
}

/** When a process of an attempt was last seen alive by looking, if it wrote no end. */
export interface Sighting {
  process: string;
  lastAliveAt: number;
}

/** Everything that a round leaves behind to be judged. */
export interface Evidence {
  seed: number;
  shape: 'embedded' | 'distributed';
  marks: readonly Mark[];
  faults: readonly FaultRecord[];
  runs: readonly RunRecord[];
  sightings: readonly Sighting[];
  /** What was wrong when the platform was stopped, processes that ended by themselves, and the like. */
  incidents: readonly string[];
  /** How long a run may take after the last fault, ms. */
  settleMs: number;
  /** What a probe takes under load when nothing is wrong, ms. */
  baselineMs: number;
  fencingMs: number;
  endedAt: number;
}
