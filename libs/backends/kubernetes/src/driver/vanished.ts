import { failure, timestampOf } from '@aloft/backend-kit';
import { TaskUsage } from '@aloft/idl/aloft/v1/bus';
import type { ClusterObject } from '../cluster/resource.js';
import type { End, Launch } from '../kind.js';

/** The end of an attempt whose object is gone, and did not say how it ended: somebody deleted it, or its node is lost (C-172). */
export function vanished({ metadata, ...object }: ClusterObject, { attempt }: Launch): End {
  const at = new Date();
  const kind = object.kind ?? 'object';
  return {
    how: 'badly',
    at,
    usage: TaskUsage.fromPartial({
      startedAt: timestampOf(new Date(metadata?.creationTimestamp ?? at)),
      endedAt: timestampOf(at),
    }),
    failure: failure({
      code: 'Interrupted',
      message: `The ${kind} ${metadata?.namespace}/${metadata?.name} of the attempt ${attempt.name} was deleted by something outside the platform before it had ended.`,
      kind: 'SYSTEM',
      retryable: true,
    }),
  };
}
