import { createHash } from 'node:crypto';
import type { BlobStore } from '@aloft/blob';
import { executionPrefix, metadataRoot } from '@aloft/engine';
import { AloftError } from '@aloft/errors';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';

export interface EndedRun {
  uid: string;
  id: WorkflowExecutionIdentifier;
}

/** An encoded LogSegment of all entries of a run. */
export interface History {
  run: EndedRun;
  bytes: Uint8Array;
}

/** What is to be written for some runs, and where each one's history lies then. */
export interface HistoryObject {
  uri: string;
  bytes: Uint8Array;
  holds: readonly { uid: string; historyUri: string }[];
}

/** A history above it has an object of its own. */
const maxPackedBytes = 256 * 1024;
/** Who wants one history reads the whole pack. */
const maxPackBytes = 4 * 1024 * 1024;

/** Where the history of a run lies that has an object of its own. */
export function historyUri({ uid, id }: EndedRun): string {
  return `${executionPrefix(id)}/history/${uid}.pb`;
}

/**
 * Small histories together, each behind the other (decision 0054): an object costs a file and two or three syncs of the disk, or a
 * request, however small it is. A lone one, and a large one, stays by itself.
 */
export function historyObjects(histories: readonly History[]): HistoryObject[] {
  const alone = (history: History): HistoryObject => {
    const uri = historyUri(history.run);
    return { uri, bytes: history.bytes, holds: [{ uid: history.run.uid, historyUri: uri }] };
  };
  const objects = histories.filter(({ bytes }) => bytes.length > maxPackedBytes).map(alone);
  let open: History[] = [];
  let size = 0;
  const close = () => {
    if (open.length > 0) objects.push(open.length === 1 ? alone(open[0]!) : packed(open));
    open = [];
    size = 0;
  };
  for (const history of histories) {
    if (history.bytes.length > maxPackedBytes) continue;
    if (size + history.bytes.length > maxPackBytes) close();
    open.push(history);
    size += history.bytes.length;
  }
  close();
  return objects;
}

/**
 * Named after the runs that are in it: an ended run's log does not grow, so who packs the same runs writes the same bytes, and who
 * packs others writes elsewhere. `#<first byte>+<bytes>` says which part is a run's.
 */
function packed(histories: readonly History[]): HistoryObject {
  const name = createHash('sha256');
  for (const { run } of histories) name.update(run.uid);
  const uri = `${metadataRoot}/histories/${name.digest('hex').slice(0, 32)}.pb`;
  let at = 0;
  const holds = histories.map(({ run, bytes }) => {
    const historyUri = `${uri}#${at}+${bytes.length}`;
    at += bytes.length;
    return { uid: run.uid, historyUri };
  });
  return { uri, bytes: Buffer.concat(histories.map(({ bytes }) => bytes)), holds };
}

/** The object that a history lies in, and how to get it out of that: DATA_LOSS if the object is too short. */
export function historyPart(uri: string): {
  object: string;
  isPacked: boolean;
  /** Of its part of a pack. */
  bytes?: number;
  cut(bytes: Uint8Array): Uint8Array;
} {
  const part = /^(.*)#(\d+)\+(\d+)$/.exec(uri);
  if (!part) return { object: uri, isPacked: false, cut: (bytes) => bytes };
  const [, object, first, length] = part;
  const end = Number(first) + Number(length);
  return {
    object: object!,
    isPacked: true,
    bytes: Number(length),
    cut: (bytes) => {
      if (end <= bytes.length) return bytes.subarray(Number(first), end);
      throw new AloftError('DATA_LOSS', `${object} has ${bytes.length} bytes, ${uri} should end at byte ${end}`);
    },
  };
}

/** A run's history, from an object of its own or its part of a pack. Rejects as the blob store does. */
export async function readHistory(blob: BlobStore, uri: string, maxBytes: number): Promise<Uint8Array> {
  const { object, isPacked, cut } = historyPart(uri);
  return cut(await blob.get(object, { maxBytes: isPacked ? maxPackBytes : maxBytes }));
}

/** A pack whose part of this run is zeros: the others stay where their rows say (decision 0071). */
export function withHole(uri: string, pack: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(pack);
  historyPart(uri).cut(copy).fill(0);
  return copy;
}
