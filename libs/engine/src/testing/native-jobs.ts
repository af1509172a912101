import type { TaskReport } from '@aloft/idl/aloft/v1/bus';
import type { LaunchTaskEffect } from '../api.js';

type State = 'waits' | 'succeeded' | 'failed';

/** Jobs of backends that have dependencies between them (S-5), by the names of their attempts: which may run, and which never will. */
export class NativeJobs {
  private readonly states = new Map<string, State>();
  /** Attempts that were launched ahead. */
  ahead = 0;

  /** What the job's reports call it; empty where no other may depend on it. */
  nameOf({ routed, attempt, template }: LaunchTaskEffect, isWhole: (task: string) => boolean): string {
    const tells = routed?.route?.nativeDependencies && attempt.index === undefined && isWhole(template.id!.name);
    return tells ? `job/${attempt.name}` : '';
  }

  launched({ attempt, dependsOn }: LaunchTaskEffect): void {
    const name = `job/${attempt.name}`;
    if (this.states.has(name)) throw new Error(`testing: ${name} was launched twice`);
    this.states.set(name, 'waits');
    for (const other of dependsOn ?? [])
      if (!this.states.has(other)) throw new Error(`testing: ${name} depends on ${other}, which is no job`);
    if (dependsOn) this.ahead++;
  }

  ended({ attempt }: Pick<LaunchTaskEffect, 'attempt'>, state: 'succeeded' | 'failed'): void {
    const name = `job/${attempt.name}`;
    if (this.states.get(name) === 'waits') this.states.set(name, state);
  }

  /** `waits` for other jobs, `never` runs as one of them failed, or `runs`. */
  may({ dependsOn = [] }: LaunchTaskEffect): 'waits' | 'never' | 'runs' {
    const states = dependsOn.map((name) => this.states.get(name));
    if (states.includes('failed')) return 'never';
    return states.includes('waits') ? 'waits' : 'runs';
  }
}

/** What a backend says of an attempt that never began. */
export const upstreamFailed: Partial<TaskReport> = { upstreamFailed: true, reason: 'a job that it depends on failed' };
