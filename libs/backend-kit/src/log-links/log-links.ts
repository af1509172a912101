import { invalidArgument } from '@aloft/errors';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { type TaskLog, TaskLog_MessageFormat } from '@aloft/idl/flyteidl/core/execution';

/** A link to something of an attempt elsewhere (C-176): `https://logs/{{ .executionName }}/{{ .nodeID }}`. */
export interface LogTemplate {
  name: string;
  uri: string;
  /** Only for tasks whose `link_type` names it, as flytekit's `@vscode` and `ClassDecorator.LINK_TYPE_KEY` do; absent: for all. */
  linkType?: string | undefined;
  /** For clients: shown before the attempt runs; hidden once it is over. */
  showWhilePending?: boolean | undefined;
  hideOnceFinished?: boolean | undefined;
}

/** What every template may name; besides `taskConfig.<key>`, of the task's own configuration. */
export const attemptVariables = [
  'executionName',
  'executionProject',
  'executionDomain',
  'nodeID',
  'taskRetryAttempt',
  'taskID',
  'taskVersion',
  'generatedName',
] as const;

const placeholder = /\{\{\s*\.(taskConfig\.)?([\w-]+)\s*\}\}/g;

/** `more`: variables of the backend's own. @throws INVALID_ARGUMENT for one that there is not */
export function checkLogTemplate({ name, uri }: LogTemplate, more: readonly string[] = []): void {
  const known = [...more, ...attemptVariables];
  for (const [, ofConfig, variable] of uri.matchAll(placeholder))
    if (ofConfig === undefined && !known.includes(variable!))
      throw invalidArgument(
        `log link "${name}": there is no {{ .${variable} }}; there are ${known.join(', ')} and taskConfig.<key>`,
      );
}

/**
 * The links of an attempt: those without a type, and those of the types that its task's `link_type` lists (separated by commas). One that needs
 * something of the task's configuration which is not there is left out. `values`: of the backend's own variables.
 */
export function logLinks(
  templates: readonly LogTemplate[],
  { attempt, template }: Pick<LaunchTask, 'attempt' | 'template'>,
  values: Readonly<Record<string, string>> = {},
): TaskLog[] {
  if (templates.length === 0) return [];
  const config = template?.config ?? {};
  const types = (config['link_type'] ?? '').split(',').map((type) => type.trim());
  const all: Readonly<Record<string, string>> = { ...attemptValues(attempt), ...values };
  return templates
    .filter(({ linkType }) => linkType === undefined || types.includes(linkType))
    .flatMap((each) => {
      let isWhole = true;
      const uri = each.uri.replace(placeholder, (_, ofConfig: string | undefined, variable: string) => {
        const value = ofConfig === undefined ? (all[variable] ?? '') : config[variable];
        if (value === undefined) isWhole = false;
        return encodeURIComponent(value ?? '');
      });
      return isWhole ? [linkOf(each, uri)] : [];
    });
}

function attemptValues(attempt: LaunchTask['attempt']): Record<(typeof attemptVariables)[number], string> {
  return {
    executionName: attempt?.execution?.name ?? '',
    executionProject: attempt?.execution?.project ?? '',
    executionDomain: attempt?.execution?.domain ?? '',
    nodeID: attempt?.nodeId ?? '',
    taskRetryAttempt: String(attempt?.retryAttempt ?? 0),
    taskID: attempt?.task?.name ?? '',
    taskVersion: attempt?.task?.version ?? '',
    generatedName: attempt?.name ?? '',
  };
}

const linkOf = ({ name, showWhilePending, hideOnceFinished }: LogTemplate, uri: string): TaskLog => ({
  name,
  uri,
  messageFormat: TaskLog_MessageFormat.UNKNOWN,
  ttl: undefined,
  ShowWhilePending: showWhilePending ?? false,
  HideOnceFinished: hideOnceFinished ?? false,
});
