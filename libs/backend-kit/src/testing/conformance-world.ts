import type { BlobStore } from '@aloft/blob';
import type { LaunchTask, TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import type { BackendPlugin } from '../contract.js';

export type Launch = LaunchTask & { attempt: TaskAttempt };

/** What a task of the suite does. Each leaves a mark when it starts; those with outputs declare one, `x`, and give it 7. */
export type Behaviour =
  | 'succeed'
  /** Runs until `finish` is called for it, then succeeds. */
  | 'until-finished'
  /** Writes an error.pb of the user's, not worth another attempt. */
  | 'fail'
  /** Writes an error.pb that says another attempt is worth it. */
  | 'fail-recoverable'
  | 'exit-nonzero'
  /** Something outside kills it. */
  | 'be-killed'
  /** Declares `x`, writes nothing. */
  | 'write-nothing'
  /** outputs.pb that is no LiteralMap. */
  | 'write-garbage'
  /** outputs.pb without the declared `x`. */
  | 'write-other-name'
  | 'write-garbage-error'
  /** A valid outputs.pb of more than 32 KiB. */
  | 'write-much'
  /** Uses far more memory than it may. */
  | 'use-memory'
  /** Runs for ever; its limit is short. */
  | 'run-over-time'
  /** Its command, image or definition does not exist. */
  | 'be-unstartable';

/** The backend under test, with everything that outlives one host. */
export interface ConformanceWorld {
  blob: BlobStore;
  /** A plugin as a new process would make it, over the same backend. */
  plugin(): BackendPlugin;
  /** The death of the plugin's process, as by SIGKILL. Default: nothing of it is called any more. */
  kill?(plugin: BackendPlugin): Promise<void>;
  launch(behaviour: Behaviour, options: { name: string; generation?: number; cpu?: string }): Launch;
  finish(attempt: TaskAttempt): Promise<void>;
  /** Resolves when the attempt has left its mark. */
  started(attempt: TaskAttempt): Promise<void>;
  /** How often it left its mark. */
  starts(attempt: TaskAttempt): Promise<number>;
  /** Whether anything of it still runs. */
  alive(attempt: TaskAttempt): Promise<boolean>;
  close(): Promise<void>;
}

export interface ConformanceOptions {
  world(): Promise<ConformanceWorld>;
  /** Attempts of the case "1,000 at once" (less where one attempt costs much). */
  many?: number;
  /** The plugin is launched once its row is durable (`BackendPlugin.launches`). */
  stored?: boolean;
  /** Behaviours that this backend cannot have. */
  without?: readonly Behaviour[];
}
