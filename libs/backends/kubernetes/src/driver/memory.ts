import { TaskOutcome, TaskUsage } from '@aloft/idl/aloft/v1/bus';
import type { TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { End, Failure } from '../kind.js';

/** What is written down of an attempt, for whoever has it later. */
export interface Memory {
  /** Name of the cluster that it was given to. */
  cluster?: string | undefined;
  /** Of its object, once there was one: where it is not there any more, something has deleted it. */
  uid?: string | undefined;
  /** How it ended, where its object has to go before anybody may hear of that. */
  end?: (End & { how: 'cut short' }) | undefined;
}

interface Written {
  cluster?: string;
  uid?: string;
  end?: { phase: TaskExecution_Phase; reason: string; outcome: unknown; usage: unknown; at: number };
}

export function encodeMemory({ cluster, uid, end }: Memory): Uint8Array {
  const written: Written = {
    ...(cluster === undefined ? {} : { cluster }),
    ...(uid === undefined ? {} : { uid }),
    ...(end
      ? {
          end: {
            phase: end.failure.phase,
            reason: end.failure.reason ?? '',
            outcome: TaskOutcome.toJSON(end.failure.outcome),
            usage: TaskUsage.toJSON(end.usage),
            at: end.at.getTime(),
          },
        }
      : {}),
  };
  return Buffer.from(JSON.stringify(written));
}

export function memoryIn(remembered: Uint8Array | undefined): Memory {
  if (remembered === undefined) return {};
  const { cluster, uid, end } = JSON.parse(Buffer.from(remembered).toString()) as Written;
  if (!end) return { cluster, uid };
  const failure: Failure = { phase: end.phase, reason: end.reason, outcome: TaskOutcome.fromJSON(end.outcome) };
  return {
    cluster,
    uid,
    end: { how: 'cut short', failure, usage: TaskUsage.fromJSON(end.usage), at: new Date(end.at) },
  };
}
