import { createHash } from 'node:crypto';
import { resolve } from 'node:path';

/** Environment variable by which all processes of an attempt are known, however far they went from their parents. */
export const attemptVariable = 'ALOFT_ATTEMPT';
/** By which processes are known that wait for an attempt, and those that became its supervisor. */
export const standbyVariable = 'ALOFT_STANDBY';

/** Its value: hosts that share a machine may have the same attempt one after the other, and must not take its processes for theirs. */
export const attemptMark = (id: string, workDir: string): string => `${id}@${standbyMark(workDir)}`;

/** Likewise: whose. */
export const standbyMark = (workDir: string): string =>
  createHash('sha256').update(resolve(workDir)).digest('hex').slice(0, 10);

/** The attempt that a mark names, if it is of this work folder. */
export function attemptOfMark(mark: string | undefined, workDir: string): string | undefined {
  const id = mark?.slice(0, mark.lastIndexOf('@'));
  return id !== undefined && mark === attemptMark(id, workDir) ? id : undefined;
}
