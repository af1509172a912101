import { open, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  failure,
  nothingWritten,
  outcomeUris,
  type PhaseReport,
  readOutcome,
  timestampOf,
  withCheckpoint,
} from '@aloft/backend-kit';
import type { BlobStore } from '@aloft/blob';
import type { LaunchTask, TaskUsage } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { ExitRecord } from './launcher/protocol.js';
import { withPatience } from './patience.js';

/**
 * The last report on an attempt, with its checkpoint (C-109). `store` and `log` are where its own files are, `shared` what all attempts see.
 * Storage that is away is waited for, but not to say that an attempt was ended.
 */
export async function endOf(
  launch: LaunchTask,
  { store, shared, log }: { store: BlobStore; shared: BlobStore; log: string },
  exit: ExitRecord,
): Promise<PhaseReport> {
  if (exit.killed?.by !== 'abort')
    return withPatience(async () => withCheckpoint(launch, shared, await judge(launch, store, exit, log)));
  const report = await judge(launch, store, exit, log);
  return withCheckpoint(launch, shared, report).catch(() => report);
}

/** The verdict on an ended attempt: why we ended it, then what it wrote (C-108, C-170), then how it went (C-172). */
async function judge(launch: LaunchTask, blob: BlobStore, exit: ExitRecord, log: string): Promise<PhaseReport> {
  const report = await verdict(launch, blob, exit, log);
  return { ...report, usage: usageOf(exit), occurredAt: new Date(exit.endedAt) };
}

function usageOf(exit: ExitRecord): TaskUsage {
  return {
    cpuSeconds: exit.cpuSeconds,
    peakMemoryBytes: BigInt(Math.round(exit.peakMemoryBytes)),
    memoryByteSeconds: exit.memoryByteSeconds,
    itemSeconds: 0,
    reserved: false,
    startedAt: exit.startedAt === undefined ? undefined : timestampOf(new Date(exit.startedAt)),
    endedAt: timestampOf(new Date(exit.endedAt)),
  };
}

async function verdict(launch: LaunchTask, blob: BlobStore, exit: ExitRecord, log: string): Promise<PhaseReport> {
  const { killed, code, signal } = exit;
  if (killed?.by === 'abort') return { phase: TaskExecution_Phase.ABORTED, reason: killed.detail };
  if (killed?.by === 'lease')
    return failure({
      code: 'HostLeaseLost',
      message: `The task was ended because ${killed.detail}.`,
      kind: 'SYSTEM',
      retryable: true,
    });
  if (killed?.by === 'memory')
    return failure({
      code: 'OOMKilled',
      message: `The task was ended because ${killed.detail}. Ask for more memory, or use less.`,
      kind: 'USER',
      retryable: true,
    });
  if (killed?.by === 'time')
    return failure({
      code: 'TimeoutExpired',
      message: `The task was ended because ${killed.detail}.`,
      kind: 'USER',
      retryable: true,
    });
  const written = await readOutcome(launch, blob);
  const failed = written && written.phase !== TaskExecution_Phase.SUCCEEDED;
  if (code === undefined && signal === undefined) return unseen(launch, blob, written);
  if (code === 0) return written ?? nothingWritten(launch);
  if (failed && written.outcome.result?.$case === 'error' && written.outcome.result.value.errorUri) return written;
  if (signal === 'SIGKILL' || code === 137 || code === 247)
    return failure({
      code: 'Interrupted',
      message: `The task's process was killed (SIGKILL) by something outside the platform, perhaps for lack of memory.`,
      kind: 'SYSTEM',
      retryable: true,
    });
  const how = signal === undefined ? `exited with code ${code}` : `was ended by ${signal}`;
  const tail = await lastLines(log);
  return failure({
    code: signal === undefined ? 'ExitCode' : 'Signal',
    message: `The task's process ${how} and wrote no error.pb.${tail === '' ? await lossOf(log) : ` Its last output:\n${tail}`}`,
    kind: 'USER',
    retryable: true,
  });
}

/** Nobody saw it end (its supervisor was killed too, or the machine went down): only what is surely complete counts. */
async function unseen(launch: LaunchTask, blob: BlobStore, written: Awaited<ReturnType<typeof readOutcome>>) {
  const complete =
    written?.phase === TaskExecution_Phase.SUCCEEDED
      ? (await blob.head(outcomeUris(launch.outputPrefix).outputs)) !== undefined ||
        written.outcome.result?.$case === 'futures'
      : written?.outcome.result?.$case === 'error' && written.outcome.result.value.errorUri !== '';
  if (written && complete) return written;
  return failure({
    code: 'Interrupted',
    message: 'The task was running when its host went down, and neither its process nor a result was found afterwards.',
    kind: 'SYSTEM',
    retryable: true,
  });
}

const tailBytes = 2_048;

async function lastLines(path: string): Promise<string> {
  try {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      const { buffer, bytesRead } = await file.read(
        Buffer.alloc(tailBytes),
        0,
        tailBytes,
        Math.max(0, size - tailBytes),
      );
      return buffer.subarray(0, bytesRead).toString('utf8').trim();
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

/** Why there may be no output: on a full disk what a task says is lost with what it writes. */
async function lossOf(log: string): Promise<string> {
  try {
    const { bavail, bsize } = await statfs(dirname(log));
    return bavail * bsize < 65_536 ? ' There is no space left on the disk that keeps its outputs and its log.' : '';
  } catch {
    // The folder is gone: there is nothing to say about its disk.
    return '';
  }
}
