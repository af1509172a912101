import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, watch } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TaskAttempt } from '@aloft/idl/aloft/v1/bus';

/** `$MARK` of an attempt: each generation has its own. */
export const markOf = ({ name, generation }: Pick<TaskAttempt, 'name' | 'generation'>): string =>
  `${name}.${generation}`;

/** First line of a shell task's script: `$2` is the folder of its marks. */
export const leaveMark = 'echo started >> "$2/$MARK.mark"';

/** What shell tasks on this machine leave in a folder, and what they wait for there ({@link leaveMark}, `shellScripts`). */
export class ShellMarks {
  constructor(private readonly folder: string) {}

  /** What the task's processes are known by: other test runs on this machine have attempts of the same names. */
  environment(attempt: Pick<TaskAttempt, 'name' | 'generation'>): Record<'MARK' | 'MARKS', string> {
    return { MARK: markOf(attempt), MARKS: this.folder };
  }

  /** Makes what a task that runs until it is told to finish reads from. */
  prepareToWait(attempt: Pick<TaskAttempt, 'name' | 'generation'>): void {
    const fifo = this.fifo(attempt);
    if (!existsSync(fifo)) execFileSync('mkfifo', [fifo]);
  }

  async finish(attempt: TaskAttempt): Promise<void> {
    await writeFile(this.fifo(attempt), 'go\n');
  }

  async started(attempt: TaskAttempt): Promise<void> {
    const mark = this.mark(attempt);
    await new Promise<void>((resolve) => {
      const watcher = watch(this.folder, () => look());
      const look = () => {
        if (!existsSync(mark)) return;
        watcher.close();
        resolve();
      };
      look();
    });
  }

  starts(attempt: TaskAttempt): number {
    const mark = this.mark(attempt);
    return existsSync(mark) ? readFileSync(mark, 'utf8').trim().split('\n').length : 0;
  }

  /** Pids that carry the attempt's marks in their environment. */
  processesOf(attempt: TaskAttempt): number[] {
    const wanted = Object.entries(this.environment(attempt)).map(([name, value]) => `${name}=${value}`);
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        try {
          const told = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
          return wanted.every((each) => told.includes(each));
        } catch {
          return false;
        }
      })
      .map(Number);
  }

  private fifo(attempt: Pick<TaskAttempt, 'name' | 'generation'>): string {
    return join(this.folder, `${markOf(attempt)}.fifo`);
  }

  private mark(attempt: TaskAttempt): string {
    return join(this.folder, `${markOf(attempt)}.mark`);
  }
}
