/** A job of an attempt: of its own, or a child of an array job. */
export interface BatchJob {
  id: string;
  /** Index of the child. */
  child?: number | undefined;
}

/** As Batch names it. */
export const jobIdOf = ({ id, child }: BatchJob): string => (child === undefined ? id : `${id}:${child}`);

export const encodeJob = (job: BatchJob): Uint8Array => Buffer.from(jobIdOf(job));

export function decodeJob(bytes: Uint8Array): BatchJob {
  const text = Buffer.from(bytes).toString();
  const match = /^([\w-]+)(?::(\d+))?$/.exec(text);
  if (!match) throw new Error(`"${text.slice(0, 100)}" is no id of a job`);
  return { id: match[1] as string, ...(match[2] === undefined ? {} : { child: Number(match[2]) }) };
}
