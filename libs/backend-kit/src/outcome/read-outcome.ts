import { createHash } from 'node:crypto';
import type { BlobStore } from '@aloft/blob';
import { AloftError } from '@aloft/errors';
import type { LaunchTask, TaskOutcome } from '@aloft/idl/aloft/v1/bus';
import { type ContainerError, ContainerError_Kind, ErrorDocument } from '@aloft/idl/flyteidl/core/errors';
import { ExecutionError_ErrorKind, TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { type Literal, LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { type LiteralType, SimpleType } from '@aloft/idl/flyteidl/core/types';
import type { PhaseReport } from '../contract.js';
import { scanLiteralNames } from './literal-map-scan.js';
import { clip, failure } from './phases.js';
import { compareTimestamps } from './timestamp.js';

/** Literals up to this encoded size travel in messages. */
export const maxInlineBytes = 32 * 1024;

export interface OutcomeOptions {
  /** Largest outputs.pb or error.pb accepted (C-166); default 64 MiB. */
  maxBytes?: number;
  /** Several workers write `error-<id>.pb` each (C-171). Default: whether the launch's environment has `_F_DES`. */
  distributedErrors?: boolean;
}

/** Places under an attempt's output prefix (C-100). */
export const outcomeUris = (outputPrefix: string) => {
  const prefix = outputPrefix.replace(/\/+$/, '');
  return {
    outputs: `${prefix}/outputs.pb`,
    error: `${prefix}/error.pb`,
    errors: `${prefix}/error-`,
    deck: `${prefix}/deck.html`,
    futures: `${prefix}/futures.pb`,
    log: `${prefix}/output.log`,
  };
};

/**
 * What the files of an ended attempt say: `error.pb` before anything else (C-170), then `futures.pb`, then `outputs.pb` with
 * every declared name (C-108). `undefined` if it wrote neither an error nor what it declared to write: then the way it ended
 * is the verdict (see {@link nothingWritten}). Storage that cannot be read throws.
 */
export async function readOutcome(
  launch: LaunchTask,
  blob: BlobStore,
  options: OutcomeOptions = {},
): Promise<(PhaseReport & { outcome: TaskOutcome }) | undefined> {
  const uris = outcomeUris(launch.outputPrefix);
  const maxBytes = options.maxBytes ?? 64 * 2 ** 20;
  const distributed = options.distributedErrors ?? launch.env.some(({ key }) => key === '_F_DES');
  const [errors, futures, outputs, deck] = await Promise.all([
    readErrors(uris, blob, maxBytes, distributed),
    blob.head(uris.futures),
    readIfThere(blob, uris.outputs, maxBytes),
    blob.head(uris.deck),
  ]);
  const deckUri = deck ? uris.deck : '';
  const error = errors[0];
  if (error) return { ...error, outcome: { ...error.outcome, deckUri } };
  if (futures) {
    const bytes = await blob.get(uris.futures, { maxBytes });
    const digest = createHash('sha256').update(bytes).digest();
    return succeeded({ $case: 'futures', value: { uri: uris.futures, size: BigInt(bytes.length), digest } }, deckUri);
  }
  const declared = launch.template?.interface?.outputs?.variables ?? {};
  if (outputs === undefined)
    return Object.keys(declared).length > 0
      ? undefined
      : succeeded({ $case: 'outputs', value: { value: { $case: 'inline', value: { literals: {} } } } }, deckUri);
  if (outputs instanceof AloftError)
    return failure({
      code: 'OutputsTooLarge',
      message: `${outputs.message}. Write large values as files, directories or dataframes instead of returning them.`,
      kind: 'USER',
      retryable: false,
      deckUri,
    });
  return judgeOutputs(launch, uris.outputs, outputs, declared, deckUri);
}

/** The end of an attempt that exited well but left nothing behind although its interface names outputs (C-108, C-170). */
export function nothingWritten(launch: LaunchTask): PhaseReport & { outcome: TaskOutcome } {
  const names = Object.keys(launch.template?.interface?.outputs?.variables ?? {});
  return failure({
    code: 'OutputsNotFound',
    message:
      `The task ended without an error, but wrote neither outputs.pb nor error.pb under ${launch.outputPrefix}; its interface ` +
      `declares ${names.map((name) => `"${name}"`).join(', ')}.`,
    kind: 'SYSTEM',
    retryable: true,
  });
}

function succeeded(result: TaskOutcome['result'], deckUri: string) {
  return { phase: TaskExecution_Phase.SUCCEEDED, outcome: { result, deckUri, checkpointUri: '' } };
}

type Declared = Readonly<Record<string, { type: LiteralType | undefined }>>;

function judgeOutputs(launch: LaunchTask, uri: string, bytes: Uint8Array, declared: Declared, deckUri: string) {
  let names: string[];
  let literals: LiteralMap | undefined;
  try {
    names = scanLiteralNames(bytes);
    if (bytes.length <= maxInlineBytes) literals = LiteralMap.decode(bytes);
  } catch (error) {
    return failure({
      code: 'OutputsMalformed',
      message: `${uri} (${bytes.length} bytes) is not an encoded LiteralMap: ${(error as Error).message}.`,
      kind: 'USER',
      retryable: true,
      deckUri,
    });
  }
  const written = new Set(names);
  const missing = Object.keys(declared).filter((name) => !written.has(name));
  const refused = missing.filter((name) => !isOptional(declared[name]?.type, launch.attempt?.index !== undefined));
  if (refused.length > 0)
    return failure({
      code: 'OutputsIncomplete',
      message:
        `${uri} lacks ${refused.map((name) => `"${name}"`).join(', ')}, which the task's interface declares; it holds ` +
        `${names.length === 0 ? 'nothing' : names.map((name) => `"${name}"`).join(', ')}.`,
      kind: 'USER',
      retryable: false,
      deckUri,
    });
  if (literals) {
    for (const name of missing) literals.literals[name] = none(declared[name]?.type);
    return succeeded({ $case: 'outputs', value: { value: { $case: 'inline', value: literals } } }, deckUri);
  }
  // Stored as the task wrote them: whoever reads a missing optional one there takes None (C-102).
  const stored = { uri, size: BigInt(bytes.length), digest: createHash('sha256').update(bytes).digest() };
  return succeeded({ $case: 'outputs', value: { value: { $case: 'stored', value: stored } } }, deckUri);
}

/** The type of one item's output: a map task's interface names the list. */
function itemType(type: LiteralType | undefined, item: boolean): LiteralType | undefined {
  return item && type?.type?.$case === 'collectionType' ? type.type.value : type;
}

function noneVariant(type: LiteralType | undefined): LiteralType | undefined {
  if (type?.type?.$case !== 'unionType') return undefined;
  return type.type.value.variants.find(
    (variant) => variant.type?.$case === 'simple' && variant.type.value === SimpleType.NONE,
  );
}

function isOptional(type: LiteralType | undefined, item: boolean): boolean {
  const of = itemType(type, item);
  return noneVariant(of) !== undefined || (of?.type?.$case === 'simple' && of.type.value === SimpleType.NONE);
}

/** A missing optional output is None (C-108). */
function none(type: LiteralType | undefined): Literal {
  const value: Literal = {
    value: { $case: 'scalar', value: { value: { $case: 'noneType', value: {} } } },
    hash: '',
    metadata: {},
  };
  const variant = noneVariant(type) ?? noneVariant(itemType(type, true));
  if (!variant) return value;
  return {
    value: { $case: 'scalar', value: { value: { $case: 'union', value: { value, type: variant } } } },
    hash: '',
    metadata: {},
  };
}

async function readIfThere(
  blob: BlobStore,
  uri: string,
  maxBytes: number,
): Promise<Uint8Array | AloftError | undefined> {
  try {
    return await blob.get(uri, { maxBytes });
  } catch (error) {
    if (error instanceof AloftError && error.code === 'NOT_FOUND') return undefined;
    if (error instanceof AloftError && error.code === 'RESOURCE_EXHAUSTED') return error;
    throw error;
  }
}

type ErrorReport = ReturnType<typeof failure>;

/** All errors written, the earliest first (C-171). */
async function readErrors(
  uris: ReturnType<typeof outcomeUris>,
  blob: BlobStore,
  maxBytes: number,
  distributed: boolean,
): Promise<ErrorReport[]> {
  const candidates = [uris.error];
  if (distributed)
    for await (const { uri } of blob.list(uris.errors, { limit: 1000 })) if (uri.endsWith('.pb')) candidates.push(uri);
  const read = await Promise.all(
    candidates.map(async (uri) => {
      const bytes = await readIfThere(blob, uri, maxBytes);
      return bytes === undefined ? undefined : { uri, ...decodeError(uri, bytes) };
    }),
  );
  return read
    .filter((found) => found !== undefined)
    .sort((a, b) => compareTimestamps(a.error?.timestamp, b.error?.timestamp))
    .map(({ uri, error, wrong }) => (error ? reportOf(uri, error) : malformed(uri, wrong)));
}

function decodeError(uri: string, bytes: Uint8Array | AloftError): { error?: ContainerError; wrong: string } {
  if (bytes instanceof AloftError) return { wrong: bytes.message };
  try {
    const { error } = ErrorDocument.decode(bytes);
    return error ? { error, wrong: '' } : { wrong: `its ${bytes.length} bytes name no error` };
  } catch (error) {
    return { wrong: `its ${bytes.length} bytes do not decode: ${(error as Error).message}` };
  }
}

/** C-170: the kind says whether another attempt is worth it, the origin whose fault it is. */
function reportOf(uri: string, error: ContainerError): ErrorReport {
  const kind = ExecutionError_ErrorKind[error.origin];
  const report = failure({
    code: error.code || 'UnknownError',
    message: error.message || 'The task wrote an error without a message.',
    kind: kind === 'USER' || kind === 'SYSTEM' ? kind : 'UNKNOWN',
    retryable: error.kind === ContainerError_Kind.RECOVERABLE,
    errorUri: uri,
    worker: error.worker,
  });
  const { result } = report.outcome;
  if (result?.$case === 'error') result.value.timestamp = error.timestamp;
  return { ...report, reason: clip(error.message).slice(-300) };
}

function malformed(uri: string, wrong: string): ErrorReport {
  return failure({
    code: 'ErrorFileBadFormat',
    message: `The task failed, but ${uri} is not an encoded ErrorDocument with an error: ${wrong}.`,
    kind: 'SYSTEM',
    retryable: true,
    errorUri: uri,
  });
}
