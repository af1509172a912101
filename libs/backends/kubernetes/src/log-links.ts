import { invalidArgument } from '@aloft/errors';
import { type TaskLog, TaskLog_MessageFormat } from '@aloft/idl/flyteidl/core/execution';

/** A link to an attempt's output somewhere else (C-176): `https://logs/{{ .namespace }}/{{ .podName }}`. */
export interface LogTemplate {
  name: string;
  uri: string;
}

/** What such a template may name. */
export const logVariables = [
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
  'executionName',
  'executionProject',
  'executionDomain',
  'nodeID',
  'taskRetryAttempt',
  'taskID',
  'taskVersion',
  'generatedName',
] as const;

export type LogValues = Record<(typeof logVariables)[number], string>;

const placeholder = /\{\{\s*\.(\w+)\s*\}\}/g;

/** @throws INVALID_ARGUMENT for a variable that there is not */
export function checkLogTemplate({ name, uri }: LogTemplate): void {
  for (const [, variable] of uri.matchAll(placeholder))
    if (!logVariables.some((known) => known === variable))
      throw invalidArgument(`log link "${name}": there is no {{ .${variable} }}; there are ${logVariables.join(', ')}`);
}

export function logLinks(templates: readonly LogTemplate[], values: LogValues): TaskLog[] {
  return templates.map(({ name, uri }) => ({
    name,
    uri: uri.replace(placeholder, (_, variable: keyof LogValues) => encodeURIComponent(values[variable])),
    messageFormat: TaskLog_MessageFormat.UNKNOWN,
    ttl: undefined,
    ShowWhilePending: false,
    HideOnceFinished: false,
  }));
}
