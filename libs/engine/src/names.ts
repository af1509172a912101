import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';

/** Names that Flyte's clients and backends see (C-160…C-163) and the layout of a run's data (C-100, C-101, C-109). */

const alphabet = 'abcdefghijklmnopqrstuvwxyz123456';
const utf8 = new TextEncoder();

/** Ids of nodes in the API, and names of child executions. */
const maxIdLength = 20;
/** Names of tasks on backends: a pod's name leaves room for suffixes below the 63 of DNS-1123 labels. */
const maxTaskNameLength = 50;

function base32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += alphabet[(value >>> bits) & 31];
    }
    value &= (1 << bits) - 1;
  }
  return bits > 0 ? text + alphabet[(value << (5 - bits)) & 31] : text;
}

/** FNV-1a of the text's UTF-8 bytes, 32 bits, big endian. */
export function fnv32(text: string): Uint8Array {
  let hash = 0x811c9dc5;
  for (const byte of utf8.encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return bytesOf(hash >>> 0);
}

/** FNV-1a of the text's UTF-8 bytes, 64 bits, big endian. */
export function fnv64(text: string): Uint8Array {
  // The prime is 2^40 + 435; two 32-bit halves stay exact in doubles, and cost a tenth of BigInt.
  let high = 0xcbf29ce4;
  let low = 0x84222325;
  for (const byte of utf8.encode(text)) {
    low = (low ^ byte) >>> 0;
    const product = low * 435;
    const carry = Math.floor(product / 0x100000000);
    high = (Math.imul(high, 435) + carry + (low << 8)) >>> 0;
    low = product >>> 0;
  }
  const bytes = new Uint8Array(8);
  bytes.set(bytesOf(high), 0);
  bytes.set(bytesOf(low), 4);
  return bytes;
}

function bytesOf(word: number): Uint8Array {
  return Uint8Array.of(word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255);
}

/** The text itself if it is at most `max` characters long, else `f` and the base32 of its hash (8 or 14 characters). */
export function fixedLengthId(text: string, max: number, hash: (text: string) => Uint8Array = fnv32): string {
  return text.length <= max ? text : `f${base32(hash(text))}`;
}

/**
 * Unique id of a node within its run (C-161); `parent` is absent for nodes of the root workflow. `hash` is Flyte's 32 bits, but
 * for workflows so large that two of their nodes might get the same.
 */
export function uniqueNodeId(
  parent: { nodeId: string; attempt: number } | undefined,
  nodeId: string,
  hash: (text: string) => Uint8Array = fnv32,
): string {
  return fixedLengthId(parent ? `${parent.nodeId}-${parent.attempt}-${nodeId}` : nodeId, maxIdLength, hash);
}

/** Name of one attempt of a task on its backend (C-162): DNS-1123, at most 50 characters. */
export function taskName(execution: string, nodeId: string, attempt: number): string {
  return dnsName(fixedLengthId(`${execution}-${nodeId}-${attempt}`, maxTaskNameLength));
}

/**
 * Name of one attempt of one item of an array. Too long ones are hashed to 64 bits: among a million items, 32 bits would
 * give some hundred pairs the same name.
 */
export function itemName(
  execution: string,
  nodeId: string,
  attempt: number,
  index: number,
  itemAttempt: number,
): string {
  const whole = `${fixedLengthId(`${execution}-${nodeId}-${attempt}`, maxTaskNameLength)}-n${index}-${itemAttempt}`;
  return dnsName(fixedLengthId(whole, maxTaskNameLength, fnv64));
}

/** Name of the child execution that a node (or an item of an array) starts (C-163, Q-17: the 64-bit form). */
export function childExecutionName(execution: string, nodeId: string, attempt: number): string {
  return fixedLengthId(`${execution}-${nodeId}-${attempt}`, maxIdLength, fnv64);
}

/** Spec node id of an item (C-160). */
export function itemNodeId(index: number): string {
  return `n${index}`;
}

function dnsName(name: string): string {
  if (/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name)) return name;
  // What was different must stay different: the hash of the original goes with the cleaned text.
  const clean = name
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^-+|-+$/g, '');
  return `${clean.slice(0, maxTaskNameLength - 8)}-${base32(fnv32(name))}`.replace(/^-+/, '');
}

/** Root of everything a run's nodes write for the engine. */
export const metadataRoot = 's3://aloft/metadata/propeller';

/** Folder of one run's metadata. */
export function executionPrefix(id: WorkflowExecutionIdentifier): string {
  const root = id.org === '' ? metadataRoot : `${metadataRoot}/${id.org}`;
  return `${root}/${id.project}-${id.domain}-${id.name}`;
}

/** `…/<unique node id>/data`: inputs.pb lies in it. */
export function nodeDataPrefix(id: WorkflowExecutionIdentifier, nodeId: string): string {
  return `${executionPrefix(id)}/${nodeId}/data`;
}

/** `…/data/<attempt>`: outputs.pb, error.pb, deck.html, futures.pb and output.log lie in it. */
export function attemptPrefix(dataPrefix: string, attempt: number): string {
  return `${dataPrefix}/${attempt}`;
}

/** `…/data/<attempt>/<index>/<item attempt>`. */
export function itemPrefix(dataPrefix: string, attempt: number, index: number, itemAttempt: number): string {
  return `${dataPrefix}/${attempt}/${index}/${itemAttempt}`;
}

/** Folder of the items' own inputs, where they don't read the whole node's (`…/data/<attempt>/<index>`). */
export function itemDataPrefix(dataPrefix: string, attempt: number, index: number): string {
  return `${dataPrefix}/${attempt}/${index}`;
}

export const inputsFile = (dataPrefix: string): string => `${dataPrefix}/inputs.pb`;
export const outputsFile = (outputPrefix: string): string => `${outputPrefix}/outputs.pb`;
export const deckFile = (outputPrefix: string): string => `${outputPrefix}/deck.html`;
export const futuresFile = (outputPrefix: string): string => `${outputPrefix}/futures.pb`;
export const closureFile = (outputPrefix: string): string => `${outputPrefix}/closure.pb`;

/** Checkpoints of an attempt, under its raw output prefix (C-109). */
export const checkpointPrefix = (rawOutputPrefix: string): string => `${rawOutputPrefix}/_flytecheckpoints`;

/**
 * Raw data of one attempt: `<prefix>/<2 characters>/<unique name>` (C-101). The two characters spread keys over an object
 * store's partitions.
 */
export function rawOutputPrefix(prefix: string, uniqueName: string): string {
  const digits = '0123456789abcdefghijklmnopqrstuvwxyz';
  const shard = fnv32(uniqueName).reduce((hash, byte) => (hash * 256 + byte) >>> 0, 0) % 1296;
  return `${prefix.replace(/\/+$/, '')}/${digits[Math.floor(shard / 36)]}${digits[shard % 36]}/${uniqueName}`;
}
