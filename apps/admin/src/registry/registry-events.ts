import { randomUUID } from 'node:crypto';
import { currentCall } from '@aloft/rpc';
import { currentTrace } from '@aloft/telemetry';
import { shardOf, type OutgoingMessage } from '@aloft/bus';
import { RegistryEvent, type RegistryEvent_Change } from '@aloft/idl/aloft/v1/bus';
import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { timestampOf } from '../time.js';

export const registryTopic = 'registry.events';

/** What became of an entity, for schedulers and caches; key = the entity's name, so that versions of one name are in order. */
export function registryMessage(id: Identifier, change: RegistryEvent_Change): OutgoingMessage {
  const key = JSON.stringify([id.resourceType, id.org, id.project, id.domain, id.name]);
  const trace = currentTrace();
  return {
    topic: registryTopic,
    envelope: {
      id: randomUUID(),
      type: 'aloft.v1.RegistryEvent',
      schemaVersion: 1,
      minReaderVersion: 1,
      key,
      execution: undefined,
      executionUid: '',
      shard: shardOf(key),
      traceparent: trace?.traceparent ?? '',
      tracestate: trace?.tracestate ?? '',
      principal: currentCall()?.principal.subject ?? '',
      generation: 0,
      time: timestampOf(new Date()),
      payload: Buffer.from(RegistryEvent.encode({ id, change }).finish()),
    },
  };
}
