import { invalidArgument } from '@aloft/errors';
import { RetentionScope } from '@aloft/idl/aloft/v1/retention';
import type { ProjectsService } from '../projects/projects.service.js';

/** Refuses a scope that nothing could be in. */
export async function requireRetentionScope(
  projects: ProjectsService,
  scope: RetentionScope | undefined,
  where: string,
): Promise<RetentionScope> {
  const asked = scope ?? RetentionScope.fromPartial({});
  if (asked.project !== '') await projects.requireKnown(asked.org, asked.project, `${where}.project`);
  if (asked.domain !== '') projects.requireDomain(asked.domain, `${where}.domain`);
  if (asked.labelValue !== '' && asked.labelKey === '')
    throw invalidArgument(
      `${where}.label_key: missing; label_value "${asked.labelValue}" is the value of which label?`,
    );
  return asked;
}

export function describeScope({ project, domain, labelKey, labelValue }: RetentionScope): string {
  const place = project === '' && domain === '' ? 'all runs' : `${project || '*'}/${domain || '*'}`;
  return labelKey === '' ? place : `${place} with label ${labelKey}${labelValue === '' ? '' : `=${labelValue}`}`;
}

/** SQL of "execution `e` is in the scope of row `s`"; rows have the columns of {@link RetentionScope}. */
export const inScope = (s: string): string => `${s}.project IN ('', e.project) AND ${s}.domain IN ('', e.domain)
  AND (${s}.label_key = '' OR EXISTS (SELECT 1 FROM execution_tags t WHERE t.execution_id = e.id AND t.key = ${s}.label_key
    AND ${s}.label_value IN ('', t.value)))`;
