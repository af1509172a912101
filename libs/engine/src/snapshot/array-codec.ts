import { LiteralsValue, TaskUsage } from '@aloft/idl/aloft/v1/bus';
import { ExecutionError, TaskLog } from '@aloft/idl/flyteidl/core/execution';
import { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { ArrayItems } from '../state/array-items.js';
import type { ByteReader, ByteWriter } from './bytes.js';

/** An array's items: packed as they are in memory, outputs without the gaps of the growing buffer. */
export function writeItems(out: ByteWriter, items: ArrayItems): void {
  out.int(items.size);
  out.int(items.needed);
  out.int(items.limit);
  out.list(items.lists, (name) => out.string(name));
  out.flag(items.shared);
  out.bytes(items.states.bytes);
  out.bytes(items.attempts);
  out.bytes(items.systemFailures);
  out.ints(items.outputs.offsets);
  out.ints(items.outputs.lengths);
  out.bytes(items.outputs.buffer.subarray(0, items.outputs.used));
  out.int(items.next);
  out.ints(items.again);
  out.int(items.active);
  out.string(items.takenFrom);
  out.int(items.succeeded);
  out.int(items.failed);
  out.list(items.launched, ([index, { phase, version }]) => {
    out.int(index);
    out.int(phase);
    out.int(version);
  });
  writeNumbers(out, items.requests);
  writeNumbers(out, items.timers);
  writeNumbers(out, items.reserved);
  out.list(items.children, ([index, child]) => {
    out.int(index);
    out.message(WorkflowExecutionIdentifier, child);
  });
  for (const values of [items.inputs, items.storing]) {
    out.list(values, ([index, value]) => {
      out.int(index);
      out.message(LiteralsValue, value);
    });
  }
  out.list(items.checkpoints, ([index, uri]) => {
    out.int(index);
    out.string(uri);
  });
  out.list(items.errors, ({ index, error }) => {
    out.int(index);
    out.message(ExecutionError, error);
  });
  out.list(items.changes, ([index, change]) => {
    out.int(index);
    out.int(change.phase);
    out.int(change.attempt);
    out.int(change.cacheStatus);
    out.list(change.logs, (log) => out.message(TaskLog, log));
    out.message(WorkflowExecutionIdentifier, change.child);
  });
  out.flag(items.dirty);
  out.int(items.eventTimer);
  out.int(items.phaseVersion);
  writeNumbers(out, items.delayed);
  writeNumbers(out, items.outOfMemory);
  out.message(TaskUsage, items.usage);
  out.list(items.changedPages, (page) => out.int(page));
}

export function readItems(from: ByteReader): ArrayItems {
  const [size, needed, limit] = [from.int(), from.int(), from.int()];
  const lists: string[] = [];
  from.list(() => void lists.push(from.string()));
  const shared = from.version >= 2 && from.flag();
  const items = new ArrayItems(size, needed, limit, lists, shared);
  items.states.bytes.set(from.bytes());
  items.attempts.set(from.bytes());
  items.systemFailures.set(from.bytes());
  from.ints(items.outputs.offsets);
  from.ints(items.outputs.lengths);
  items.outputs.buffer = from.bytes();
  items.outputs.used = items.outputs.buffer.length;
  items.next = from.int();
  from.list(() => void items.again.push(from.int()));
  items.active = from.int();
  items.takenFrom = from.string();
  items.succeeded = from.int();
  items.failed = from.int();
  from.list(() => items.launched.set(from.int(), { phase: from.int(), version: from.int() }));
  readNumbers(from, items.requests);
  readNumbers(from, items.timers);
  readNumbers(from, items.reserved);
  from.list(() => {
    const index = from.int();
    items.children.set(index, from.message(WorkflowExecutionIdentifier)!);
  });
  for (const values of [items.inputs, items.storing]) {
    from.list(() => {
      const index = from.int();
      values.set(index, from.message(LiteralsValue)!);
    });
  }
  from.list(() => items.checkpoints.set(from.int(), from.string()));
  from.list(() => {
    const index = from.int();
    items.errors.push({ index, error: from.message(ExecutionError)! });
  });
  from.list(() => {
    const [index, phase, attempt, cacheStatus] = [from.int(), from.int(), from.int(), from.int()];
    const logs: TaskLog[] = [];
    from.list(() => void logs.push(from.message(TaskLog)!));
    items.changes.set(index, { phase, attempt, cacheStatus, logs, child: from.message(WorkflowExecutionIdentifier) });
  });
  items.dirty = from.flag();
  items.eventTimer = from.int();
  items.phaseVersion = from.int();
  if (from.version >= 2) {
    readNumbers(from, items.delayed);
    readNumbers(from, items.outOfMemory);
  }
  if (from.version >= 5) items.usage = from.message(TaskUsage);
  if (from.version >= 6) from.list(() => void items.changedPages.add(from.int()));
  return items;
}

function writeNumbers(out: ByteWriter, numbers: ReadonlyMap<number, number>): void {
  out.list(numbers, ([index, value]) => {
    out.int(index);
    out.int(value);
  });
}

function readNumbers(from: ByteReader, into: Map<number, number>): void {
  from.list(() => into.set(from.int(), from.int()));
}
