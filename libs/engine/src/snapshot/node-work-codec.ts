import { LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import { RecoveredNode } from '@aloft/idl/aloft/v1/engine';
import { CatalogMetadata } from '@aloft/idl/flyteidl/core/catalog';
import { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { NodeWork } from '../state/node-work.js';
import type { Scope } from '../state/scope.js';
import { readItems, writeItems } from './array-codec.js';
import type { ByteReader, ByteWriter } from './bytes.js';

/** An active node. Literals read for a branch are never part of it: they are used in the step that brings them. */
export function writeWork(out: ByteWriter, work: NodeWork): void {
  out.int(work.node);
  out.int(work.attempt);
  out.int(work.systemFailures);
  out.int(work.replaced);
  out.message(LiteralsValue, work.inputs);
  out.message(LiteralsValue, work.outputs);
  out.time(work.queuedAt);
  out.time(work.since);
  out.flag(work.permit);
  out.flag(work.announced);
  out.int(work.request);
  out.int(work.executionTimer);
  out.int(work.activeTimer);
  out.int(work.waitTimer);
  out.int(work.taskPhase);
  out.int(work.phaseVersion);
  out.int(work.cacheStatus);
  out.flag(work.lookedUp);
  out.message(CatalogMetadata, work.cacheMetadata);
  out.int(work.reservedBy);
  out.string(work.reservationHolder);
  out.string(work.deckUri);
  out.string(work.checkpointUri);
  out.int(work.childScope);
  out.string(work.futuresUri);
  out.string(work.graphUri);
  out.message(WorkflowExecutionIdentifier, work.child);
  out.message(RecoveredNode, work.recovered);
  out.int(work.outOfMemory);
  out.flag(work.items !== undefined);
  if (work.items) writeItems(out, work.items);
}

export function readWork(from: ByteReader, scope: Scope): NodeWork {
  const work = new NodeWork(scope, from.int(), { seconds: 0n, nanos: 0 });
  work.attempt = from.int();
  work.systemFailures = from.int();
  work.replaced = from.version >= 3 ? from.int() : 0;
  work.inputs = from.message(LiteralsValue);
  work.outputs = from.message(LiteralsValue);
  work.queuedAt = from.time();
  work.since = from.time() ?? work.since;
  work.permit = from.flag();
  work.announced = from.flag();
  work.request = from.int();
  work.executionTimer = from.int();
  work.activeTimer = from.int();
  work.waitTimer = from.int();
  work.taskPhase = from.int();
  work.phaseVersion = from.int();
  work.cacheStatus = from.int();
  work.lookedUp = from.flag();
  work.cacheMetadata = from.message(CatalogMetadata);
  work.reservedBy = from.int();
  work.reservationHolder = from.string();
  work.deckUri = from.string();
  work.checkpointUri = from.string();
  work.childScope = from.int();
  work.futuresUri = from.string();
  work.graphUri = from.string();
  work.child = from.message(WorkflowExecutionIdentifier);
  work.recovered = from.message(RecoveredNode);
  if (from.version >= 2) work.outOfMemory = from.int();
  if (from.flag()) work.items = readItems(from);
  return work;
}
