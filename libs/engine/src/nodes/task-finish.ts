import type { LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import type { CacheStored } from '@aloft/idl/aloft/v1/engine';
import { CatalogCacheStatus } from '@aloft/idl/flyteidl/core/catalog';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import { isCacheable, templateOf } from '../data/task-settings.js';
import { enter } from '../lifecycle/active.js';
import { succeed } from '../lifecycle/finish.js';
import { request } from '../lifecycle/requests.js';
import { NodeState } from '../state/node-state.js';
import type { NodeWork } from '../state/node-work.js';
import { Purpose, type RunState } from '../state/run-state.js';

/** A task (of a dynamic one: its whole graph) has its outputs; cacheable ones go into the catalog first (C-93, C-154). */
export function finishTask(
  run: RunState,
  work: NodeWork,
  outputs: LiteralsValue | undefined,
  occurredAt?: Timestamp,
): void {
  if (!isCacheable(templateOf(work.scope, work.node))) return succeed(run, work, outputs, occurredAt);
  work.outputs = outputs;
  enter(run, work, NodeState.Populating);
  request(run, work, Purpose.StoreInCache);
}

/** C-93: a failure to store never fails the node. */
export function cacheStored(run: RunState, work: NodeWork, answer: CacheStored): void {
  work.cacheStatus = answer.failed ? CatalogCacheStatus.CACHE_PUT_FAILURE : CatalogCacheStatus.CACHE_POPULATED;
  work.cacheMetadata = answer.metadata ?? work.cacheMetadata;
  succeed(run, work, work.outputs);
}
