import type { Launch } from '@aloft/backend-kit';
import type { BlobStore } from '@aloft/blob';
import { CreateTaskRequest, type TaskExecutionMetadata } from '@aloft/idl/flyteidl/admin/agent';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { inputsOf, offloaded } from './inputs.js';

export interface RequestLimits {
  /** Of inputs that are read. */
  maxInputBytes: number;
  /** Of the request: above that, inputs are stored and named by where they lie. */
  maxRequestBytes: number;
}

/** What a connector is given for an attempt. Inputs come from blob storage where they do not travel in the launch. */
export async function createRequest(
  launch: Launch,
  blob: BlobStore,
  { maxInputBytes, maxRequestBytes }: RequestLimits,
): Promise<CreateTaskRequest> {
  const inputs = await inputsOf(launch, blob, maxInputBytes);
  // A container's command reads them where its arguments say.
  if (launch.template?.target?.$case === 'container' && launch.inputs?.value?.$case !== 'stored')
    await blob.put(launch.inputsUri, LiteralMap.encode(inputs).finish());
  const request = CreateTaskRequest.fromPartial({
    template: launch.template,
    outputPrefix: launch.outputPrefix,
    taskExecutionMetadata: metadataOf(launch),
  });
  const maxBytes = maxRequestBytes - CreateTaskRequest.encode(request).finish().length - framing;
  const folder = `${launch.outputPrefix.replace(/\/+$/, '')}/inputs`;
  return { ...request, inputs: await offloaded(inputs, launch, { blob, folder, maxBytes }) };
}

/** Bytes that a request may have besides its parts. */
const framing = 16 * 1024;

function metadataOf(launch: Launch): TaskExecutionMetadata {
  const { attempt, securityContext } = launch;
  const { execution, nodeId, retryAttempt } = attempt;
  return {
    taskExecutionId: {
      taskId: launch.template?.id && { ...launch.template.id, resourceType: ResourceType.TASK },
      nodeExecutionId: { nodeId, executionId: execution },
      retryAttempt,
    },
    namespace: `${execution?.project}-${execution?.domain}`,
    // The attempt's own name, which no other has: what a connector makes for it can be named after it.
    labels: { ...launch.labels, 'aloft-attempt': attempt.name },
    annotations: launch.annotations,
    k8sServiceAccount: securityContext?.runAs?.k8sServiceAccount ?? '',
    environmentVariables: Object.fromEntries(launch.env.map(({ key, value }) => [key, value])),
    maxAttempts: (launch.template?.metadata?.retries?.retries ?? 0) + 1,
    interruptible: launch.interruptible,
    interruptibleFailureThreshold: 0,
    overrides: launch.resources && {
      resources: launch.resources,
      extendedResources: undefined,
      containerImage: '',
      podTemplate: undefined,
    },
    identity: securityContext?.runAs,
  };
}
