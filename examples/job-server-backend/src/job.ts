/** What the job server says of a job. */
export interface JobState {
  /** The caller's own, unique: putting a job again is no second one. */
  name: string;
  state: 'running' | 'exited' | 'timed-out' | 'cancelled' | 'unstartable';
  /** Milliseconds since 1970. */
  startedAt: number;
  endedAt?: number;
  exitCode?: number;
  /** What ended it, if a signal did. */
  signal?: string;
  /** The machine that has it. */
  host: string;
  /** The end of what it wrote, once it is over; or why it could not be started. */
  lastWords?: string;
}

/** What it is given. */
export interface JobRequest {
  /** Program and arguments. */
  command: readonly string[];
  env: Readonly<Record<string, string>>;
  /** Killed after so many milliseconds. */
  timeoutMs?: number;
}
