import { randomUUID } from 'node:crypto';
import { envelope, type OutgoingMessage } from '@aloft/bus';
import { RegistryEvent, type RegistryEvent_Change } from '@aloft/idl/aloft/v1/bus';
import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { currentCall } from '@aloft/rpc';
import { currentTrace } from '@aloft/telemetry';

export const registryTopic = 'registry.events';

/** What became of an entity, for schedulers and caches; key = the entity's name, so that versions of one name are in order. */
export function registryMessage(id: Identifier, change: RegistryEvent_Change): OutgoingMessage {
  const trace = currentTrace();
  return {
    topic: registryTopic,
    envelope: envelope({
      id: randomUUID(),
      type: 'aloft.v1.RegistryEvent',
      key: JSON.stringify([id.resourceType, id.org, id.project, id.domain, id.name]),
      payload: RegistryEvent.encode({ id, change }).finish(),
      principal: currentCall()?.principal.subject,
      traceparent: trace?.traceparent,
      tracestate: trace?.tracestate,
    }),
  };
}
