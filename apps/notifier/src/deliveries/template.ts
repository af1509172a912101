import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import type { RunEnd } from '../runs/run-ends.js';

export interface TemplateSubject {
  run: RunEnd;
  workflow: Identifier | undefined;
  launchPlan: Identifier | undefined;
  /** Link to the run; empty if nobody knows one. */
  url: string;
}

const phaseWords: Record<RunEnd['phase'], string> = {
  SUCCEEDED: 'succeeded',
  FAILED: 'failed',
  ABORTED: 'aborted',
  TIMED_OUT: 'timed_out',
};

/**
 * Fills `{{ project }}`, `{{phase}}`, `{{ workflow.name }}` … (A-182; `url` is ours). A field that does not exist stays as it
 * is written, so that its author sees it.
 */
export function renderTemplate(
  template: string,
  subject: TemplateSubject,
  escape: (text: string) => string = (text) => text,
): string {
  const fields = fieldsOf(subject);
  return template.replace(/\{\{\s*([\w.]+)\s*\}\}/g, (whole, name: string) => {
    const value = fields.get(name);
    return value === undefined ? whole : escape(value);
  });
}

function fieldsOf({ run, workflow, launchPlan, url }: TemplateSubject): Map<string, string> {
  const parts = (prefix: string, id: Identifier | undefined): [string, string][] =>
    (['project', 'domain', 'name', 'version'] as const).map((part) => [`${prefix}.${part}`, id?.[part] ?? '']);
  return new Map([
    ['project', run.project],
    ['domain', run.domain],
    ['name', run.name],
    ['phase', phaseWords[run.phase]],
    ['error', run.error === '' ? '' : ` The execution failed with the error: ${run.error}`],
    ['url', url],
    ...parts('workflow', workflow),
    ...parts('launch_plan', launchPlan),
  ]);
}

export function escapeHtml(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
}

/** Slack's own three escapes. */
export function escapeSlack(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
