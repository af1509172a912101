import { LiteralsValue, NodeRevision } from '@aloft/idl/aloft/v1/bus';
import { ExecutionError } from '@aloft/idl/flyteidl/core/execution';
import type { CompiledGraph } from '../graph/graph.js';
import type { NodeWork } from '../state/node-work.js';
import { Scope, type ScopeStatus } from '../state/scope.js';
import type { ScopeChanges } from '../state/scope-changes.js';
import type { ByteReader, ByteWriter } from './bytes.js';
import { readWork, writeWork } from './node-work-codec.js';

export function writeScope(out: ByteWriter, scope: Scope, graphIndex: number): void {
  out.int(scope.id);
  out.int(graphIndex);
  out.int(scope.template.index);
  out.int(scope.parent?.scope.id ?? -1);
  out.int(scope.parent?.node ?? -1);
  out.int(scope.parentAttempt);
  out.flag(scope.failAfterExecutable);
  out.flag(scope.dynamic);
  out.int(scope.status);
  out.message(LiteralsValue, scope.inputs);
  out.bytes(scope.states);
  out.bytes(scope.blocked);
  out.ints(scope.unmet);
  out.ints(scope.readers);
  out.list(scope.outputs, ([node, value]) => {
    out.int(node);
    out.message(LiteralsValue, value);
  });
  out.list(scope.failures, (failure) => {
    out.string(failure.nodeId);
    out.message(ExecutionError, failure.error);
    out.flag(failure.timedOut);
  });
  out.flag(scope.changes !== undefined);
  if (scope.changes) writeChanges(out, scope.changes);
  out.list(scope.active.values(), (work) => writeWork(out, work));
}

/** Scopes are written in the order in which they were opened: the node above one is there when it is read. */
export function readScope(
  from: ByteReader,
  graphs: readonly CompiledGraph[],
  parentOf: (scope: number, node: number) => NodeWork | undefined,
): Scope {
  const id = from.int();
  const graph = graphs[from.int()]!;
  const template = graph.templates[from.int()]!;
  const parent = parentOf(from.int(), from.int());
  const parentAttempt = from.int();
  const failAfterExecutable = from.flag();
  const dynamic = from.flag();
  const scope = new Scope(id, graph, template, parent, parentAttempt, failAfterExecutable, dynamic);
  scope.status = from.int() as ScopeStatus;
  scope.inputs = from.message(LiteralsValue);
  scope.states.set(from.bytes());
  scope.blocked.set(from.bytes());
  from.ints(scope.unmet);
  from.ints(scope.readers);
  from.list(() => {
    const node = from.int();
    const value = from.message(LiteralsValue);
    if (value) scope.outputs.set(node, value);
  });
  from.list(() => {
    const nodeId = from.string();
    const error = from.message(ExecutionError) as ExecutionError;
    scope.failures.push({ nodeId, error, timedOut: from.flag() });
  });
  if (from.version < 3) scope.change().lastAttempt = unknownAttempts;
  else if (from.flag()) readChanges(from, scope.change());
  from.list(() => {
    const work = readWork(from, scope);
    scope.active.set(work.node, work);
  });
  return scope;
}

/** More than any node had before ended attempts were kept. */
const unknownAttempts = 1000;

function writeChanges(out: ByteWriter, changes: ScopeChanges): void {
  out.int(changes.lastAttempt);
  out.list(changes.attempts, ([node, attempt]) => {
    out.int(node);
    out.int(attempt);
  });
  out.list(changes.edits, ([node, revision]) => {
    out.int(node);
    out.message(NodeRevision, revision);
  });
  out.flag(changes.fresh !== undefined);
  if (changes.fresh) out.bytes(changes.fresh);
  out.list(changes.recalls, ([node, readers]) => {
    out.int(node);
    out.ints(readers);
  });
  out.list(changes.early, (node) => out.int(node));
}

function readChanges(from: ByteReader, changes: ScopeChanges): void {
  changes.lastAttempt = from.int();
  from.list(() => changes.attempts.set(from.int(), from.int()));
  from.list(() => {
    const node = from.int();
    changes.edits.set(node, from.message(NodeRevision)!);
  });
  if (from.flag()) changes.fresh = new Uint8Array(from.bytes());
  from.list(() => {
    const node = from.int();
    const readers: number[] = [];
    from.list(() => void readers.push(from.int()));
    changes.recalls.set(node, readers);
  });
  from.list(() => void changes.early.add(from.int()));
}
