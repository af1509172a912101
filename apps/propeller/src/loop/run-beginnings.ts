import { executionKey, type IncomingMessage, type ParkingStore } from '@aloft/bus';
import type { Database } from '@aloft/database';
import type { Envelope, StartExecution } from '@aloft/idl/aloft/v1/bus';
import type { Engine } from '../runs/engine.js';
import type { RunEntry } from '../runs/run-entry.js';
import { runTrace } from '../trace/run-trace.js';

/** Makes an entry the beginning of a run; its first input is the start. */
export function newRun(entry: RunEntry, start: StartExecution, envelope: Envelope, engine: Engine): void {
  const { uid } = entry;
  const { traceparent, tracestate } = envelope;
  entry.identity = {
    uid,
    id: start.id!,
    key: executionKey(start.id!),
    shard: envelope.shard,
    traceparent,
    tracestate,
    trace: runTrace({ uid, traceparent, tracestate }),
    principal: start.settings?.principal || envelope.principal,
    start: { ...start, inputs: undefined },
  };
  entry.run = engine.runs.create();
  entry.phase = entry.run.phase;
  entry.state = 'ready';
}

class JustLooking extends Error {}

/** The parked messages of a key, left where they are: they go in the commit that applies them. */
export async function parkedMessages(
  { database, parking }: { database: Database; parking: ParkingStore },
  key: string,
): Promise<IncomingMessage[]> {
  let messages: IncomingMessage[] = [];
  try {
    await database.transaction(async (tx) => {
      messages = (await parking.take(tx, key)).map(({ message }) => message);
      throw new JustLooking();
    });
  } catch (error) {
    if (!(error instanceof JustLooking)) throw error;
  }
  return messages;
}
