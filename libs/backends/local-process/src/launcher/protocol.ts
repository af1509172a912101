// What the platform and the launcher (its helper process) say to each other: one JSON object a line. The launcher does all
// that blocks or may hang: it spawns, forks, unpacks, samples, kills. It dies with the platform; attempts do not.

/** The first line. */
export interface LauncherSettings {
  workDir: string;
  /** Milliseconds between the polite signal and the one that nobody survives; also that an attempt runs on unasked. */
  graceMs: number;
  /** Set where other hosts take over: see `Lease`. */
  leaseUntil?: number;
  /** What attempts have in their environment before anything of the task: waiting shells and warm Python parents start with it. */
  baseEnv: Record<string, string>;
  node: {
    /** Program and options of Node. */
    command: string[];
    executor: string;
    keep: number;
    env: Record<string, string>;
    /** Unpacked bundles of the TypeScript SDK, and what they see as `node_modules`. */
    bundles: string;
    modules?: string;
  };
}

export interface LaunchSpec {
  /** Name of the attempt's folder; derived, so that the same attempt always has the same one. */
  id: string;
  /** `python`: forked from a warm interpreter; `node`: a warm Node process; `cold`: a new process of `argv`. */
  start: 'cold' | 'python' | 'node';
  /** For `python` the flytekit command and its options, for `node` the executor's options, else program and arguments. */
  argv: string[];
  /** Complete environment of a cold start; what is added to the worker's own for warm ones. */
  env: Record<string, string>;
  /** Interpreter of a `python` start. */
  python?: string;
  /** Absolute path that stdout and stderr go to. */
  log: string;
  /** A .tar.gz on this machine, unpacked first: for `node` into the executor's cache, else into the working folder. */
  bundle?: { path: string; digest: string; uri: string };
  memoryBytes?: number;
  timeoutMs?: number;
  /** Names of the GPUs given to it; kept for the next platform process. */
  gpus?: string[];
  /** For `node`: not in a process that is warm already. */
  fresh?: boolean;
}

export type LauncherRequest =
  | { do: 'launch'; spec: LaunchSpec }
  /** Finds these again; every other folder is ended and removed if `exclusive`. */
  | { do: 'adopt'; ids: string[]; exclusive: boolean }
  | { do: 'kill'; id: string; why: string }
  /** The host's lease was renewed. */
  | { do: 'lease'; until: number }
  | { do: 'forget'; ids: string[] }
  | { do: 'warm'; python?: string; node?: boolean };

/** How an attempt's main process ended, as far as anybody saw it. */
export interface ExitRecord {
  /** Absent when nobody saw it end. */
  code?: number;
  signal?: string;
  /** Set when the launcher ended it. */
  killed?: { by: 'abort' | 'time' | 'memory' | 'lease'; detail: string };
  startedAt?: number;
  endedAt: number;
  cpuSeconds: number;
  peakMemoryBytes: number;
  memoryByteSeconds: number;
}

export type LauncherEvent =
  | { event: 'ready' }
  | { event: 'started'; id: string; pid: number; startedAt: number }
  | { event: 'ended'; id: string; exit: ExitRecord }
  /** It could not be started; `user`: by what was asked for. */
  | { event: 'failed'; id: string; code: string; message: string; user: boolean }
  | { event: 'adopted'; found: string[]; absent: string[] }
  /** Nothing of it runs any more. */
  | { event: 'killed'; id: string }
  | { event: 'log'; level: 'debug' | 'info' | 'warn' | 'error'; message: string };
