import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalBlobStore, type LocalBlobStore } from '@aloft/blob';
import type { TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import type { Behaviour } from './conformance-world.js';
import { integerType, type LaunchOptions } from './launches.js';
import { ShellMarks } from './shell-marks.js';
import { writeShellFiles } from './shell-tasks.js';

/** A launch as a conformance case asks for it. */
export type WantedLaunch = Partial<LaunchOptions> & { name: string };

/** What conformance worlds have in common whose tasks are shell processes of this machine: a folder, a storage in it, and marks. */
export abstract class MarkedWorld {
  readonly dir: string;
  readonly blob: LocalBlobStore;
  protected readonly fixtures: string;
  protected readonly marks: ShellMarks;

  constructor(name: string) {
    this.dir = mkdtempSync(join(tmpdir(), `aloft-${name}-`));
    this.blob = createLocalBlobStore({ dir: join(this.dir, 'blob'), durable: false });
    this.fixtures = join(this.dir, 'fixtures');
    this.marks = new ShellMarks(this.fixtures);
    writeShellFiles(this.fixtures);
  }

  /** Of a launch that behaves so; its processes carry the attempt's marks. */
  protected optionsOf(behaviour: Behaviour, { name, generation = 1, ...more }: WantedLaunch): LaunchOptions {
    if (behaviour === 'until-finished') this.marks.prepareToWait({ name, generation });
    return {
      name,
      generation,
      outputs: { x: integerType },
      env: this.marks.environment({ name, generation }),
      ...more,
      ...(behaviour === 'run-over-time' ? { executionTimeoutMs: 300 } : {}),
    };
  }

  finish(attempt: TaskAttempt): Promise<void> {
    return this.marks.finish(attempt);
  }

  started(attempt: TaskAttempt): Promise<void> {
    return this.marks.started(attempt);
  }

  async starts(attempt: TaskAttempt): Promise<number> {
    return this.marks.starts(attempt);
  }

  async alive(attempt: TaskAttempt): Promise<boolean> {
    return this.processesOf(attempt).length > 0;
  }

  /** Pids. */
  processesOf(attempt: TaskAttempt): number[] {
    return this.marks.processesOf(attempt);
  }
}
