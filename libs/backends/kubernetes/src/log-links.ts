/** What templates of links may name besides what every backend's may. */
export const podVariables = [
  'podName',
  'podUID',
  'namespace',
  'containerName',
  'containerId',
  'hostname',
  'podRFC3339StartTime',
  'podRFC3339FinishTime',
  'podUnixStartTime',
  'podUnixFinishTime',
] as const;

export type PodValues = Record<(typeof podVariables)[number], string>;
