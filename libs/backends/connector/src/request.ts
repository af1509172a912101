import type { Launch } from '@aloft/backend-kit';
import type { BlobStore } from '@aloft/blob';
import { CreateTaskRequest, type TaskExecutionMetadata } from '@aloft/idl/flyteidl/admin/agent';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';

/** What a connector is given for an attempt. Inputs come from blob storage where they do not travel in the launch. */
export async function createRequest(launch: Launch, blob: BlobStore, maxBytes: number): Promise<CreateTaskRequest> {
  const inputs = await inputsOf(launch, blob, maxBytes);
  // A container's command reads them where its arguments say.
  if (launch.template?.target?.$case === 'container' && launch.inputs?.value?.$case !== 'stored')
    await blob.put(launch.inputsUri, LiteralMap.encode(inputs).finish());
  return CreateTaskRequest.fromPartial({
    inputs,
    template: launch.template,
    outputPrefix: launch.outputPrefix,
    taskExecutionMetadata: metadataOf(launch),
  });
}

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

async function inputsOf({ inputs }: Launch, blob: BlobStore, maxBytes: number): Promise<LiteralMap> {
  const value = inputs?.value;
  if (value?.$case === 'inline') return value.value;
  if (value?.$case === 'stored') return LiteralMap.decode(await blob.get(value.value.uri, { maxBytes }));
  return { literals: {} };
}
