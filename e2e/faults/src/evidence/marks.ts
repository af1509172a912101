import { existsSync, readFileSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Mark } from './evidence.js';

/** `what run step attempt index attemptId pid.start at claimedAt outcome value`, separated by spaces. */
export function parseMark(line: string): Mark {
  const [what, run, step, attempt, index, attemptId, process, at, claimedAt, outcome, value, ...more] = line.split(' ');
  if ((what !== 'start' && what !== 'end') || value === undefined || more.length > 0 || !/^\d+$/.test(at ?? ''))
    throw new Error(`this is no mark: ${JSON.stringify(line)}`);
  return {
    what,
    run: run as string,
    step: step as string,
    attempt: Number(attempt),
    ...(index === '-' ? {} : { index: Number(index) }),
    attemptId: attemptId as string,
    process: process as string,
    at: Number(at),
    claimedAt: claimedAt === '-' ? Number(at) : Number(claimedAt),
    ...(outcome === '-' ? {} : { outcome: outcome as Mark['outcome'] }),
    ...(value === '-' ? {} : { value }),
  };
}

export function readMarks(path: string): Mark[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map(parseMark);
}

/** Reads what was appended since the last time. */
export class MarkTail {
  private offset = 0;
  private rest = '';

  constructor(private readonly path: string) {}

  async next(): Promise<Mark[]> {
    if (!existsSync(this.path) || statSync(this.path).size <= this.offset) return [];
    const file = await open(this.path);
    try {
      const { size } = await file.stat();
      const { buffer, bytesRead } = await file.read(
        Buffer.alloc(size - this.offset),
        0,
        size - this.offset,
        this.offset,
      );
      this.offset += bytesRead;
      const lines = (this.rest + buffer.toString('utf8', 0, bytesRead)).split('\n');
      this.rest = lines.pop() as string;
      return lines.map(parseMark);
    } finally {
      await file.close();
    }
  }
}
