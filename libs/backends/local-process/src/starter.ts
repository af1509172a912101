import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import type { TaskLog } from '@aloft/idl/flyteidl/core/execution';
import type { CommandLine } from './command-line.js';

/** What an attempt is started with. */
export interface Start {
  start: CommandLine['start'];
  argv: string[];
  /** Of the task itself: what is set besides the backend's own. */
  env: Record<string, string>;
  /** Of everything that it starts together; `undefined`: as much as there is. */
  memoryBytes: number | undefined;
}

/**
 * How a task's command becomes a process: all that backends whose tasks are processes of this machine differ in. Following them, limits, ends, and
 * finding them again are the same for all.
 */
export interface Starter {
  /** The backend's. */
  readonly name: string;
  /** That are its own, without a routing rule. */
  readonly taskTypes: readonly string[];
  /** Looks for what it needs on this machine. @throws for what is missing, with what to do about it */
  open(): Promise<void>;
  /** What is wrong with a launch for good. */
  refuse(launch: LaunchTask): string | undefined;
  /** `given`: the command as it would run here by itself. `folder`: the attempt's. */
  start(given: Start, launch: LaunchTask, folder: string): Promise<Start>;
  /** Where people can watch the process of that command as long as it runs. */
  links(argv: readonly string[]): TaskLog[];
  /** What else there is to say of it. */
  info(argv: readonly string[]): Record<string, unknown>;
}
