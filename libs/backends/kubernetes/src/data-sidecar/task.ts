import { LaunchTask } from '@aloft/idl/aloft/v1/bus';

/** Variable with what the sidecar has to know of its attempt. */
export const taskVariable = 'ALOFT_DATA_TASK';

/** Where inputs come from and outputs go, and the types of both: nothing that the pod itself says already. */
export function encodeTask({ template, inputsUri, outputPrefix, rawOutputPrefix }: LaunchTask): string {
  const target = template?.target;
  const dataConfig = target?.$case === 'container' || target?.$case === 'k8sPod' ? target.value.dataConfig : undefined;
  const part = LaunchTask.fromPartial({
    template: { interface: template?.interface, target: { $case: 'container', value: { dataConfig } } },
    inputsUri,
    outputPrefix,
    rawOutputPrefix,
  });
  return Buffer.from(LaunchTask.encode(part).finish()).toString('base64');
}

export const decodeTask = (text: string): LaunchTask => LaunchTask.decode(Buffer.from(text, 'base64'));
