import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Notification } from '@aloft/idl/flyteidl/admin/common';
import type { Execution } from '@aloft/idl/flyteidl/admin/execution';
import type { NotificationRule, NotifierConfig } from '../config.js';
import type { RunEnd } from '../runs/run-ends.js';
import type { Channel, PlannedDelivery } from './deliveries.repository.js';
import { escapeHtml, escapeSlack, renderTemplate, type TemplateSubject } from './template.js';

/**
 * Whom to tell of a run's end, and what: the notifications that hold for the run (its request's, else its launch plan's;
 * admin has chosen, A-181) and the configured rules.
 */
export function planDeliveries(run: RunEnd, execution: Execution, config: NotifierConfig): PlannedDelivery[] {
  const subject: TemplateSubject = {
    run,
    workflow: execution.closure?.workflowId,
    launchPlan: execution.spec?.launchPlan,
    url: config.publicUrl
      ? new URL(
          `console/projects/${encodeURIComponent(run.project)}/domains/${encodeURIComponent(run.domain)}/executions/${encodeURIComponent(run.name)}`,
          config.publicUrl.endsWith('/') ? config.publicUrl : `${config.publicUrl}/`,
        ).href
      : '',
  };
  const write = (source: string, channel: Channel, recipient: string, template: string | undefined) => {
    const escape = channel === 'slack' ? escapeSlack : config.templates.format === 'html' ? escapeHtml : undefined;
    return {
      run: run.uid,
      source,
      channel,
      recipient,
      subject: renderTemplate(config.templates.subject, subject).replace(/\s+/g, ' '),
      body: renderTemplate(template || config.templates.body, subject, escape).trim(),
    };
  };
  const named = (execution.closure?.notifications ?? []).flatMap((notification, i) =>
    recipientsOf(notification, run, config).map(([channel, recipient, template]) =>
      write(`plan:${i}`, channel, recipient, template),
    ),
  );
  const ruled = config.rules
    .filter((rule) => applies(rule, run, subject))
    .flatMap((rule) => [
      ...rule.slack.map((name) => write(`rule:${rule.name}`, 'slack', name, rule.template)),
      ...rule.email.map((address) => write(`rule:${rule.name}`, 'email', address, rule.template)),
    ]);
  return [...named, ...ruled];
}

/**
 * Slack and PagerDuty notifications are e-mails to the address that those services give a channel, as in Flyte; a
 * Slack recipient that is the name of a configured webhook gets it directly.
 */
function recipientsOf(
  { phases, type }: Notification,
  run: RunEnd,
  config: NotifierConfig,
): [Channel, string, string][] {
  if (type === undefined || !phases.some((phase) => Phase[phase] === run.phase)) return [];
  return type.value.recipientsEmail.map((recipient) => [
    type.$case === 'slack' && Object.hasOwn(config.slack.webhooks, recipient) ? 'slack' : 'email',
    recipient,
    type.value.template,
  ]);
}

function applies(rule: NotificationRule, run: RunEnd, { launchPlan }: TemplateSubject): boolean {
  return (
    rule.phases.includes(run.phase) &&
    (rule.project === undefined || rule.project === run.project) &&
    (rule.domain === undefined || rule.domain === run.domain) &&
    (rule.launchPlan === undefined || rule.launchPlan === launchPlan?.name)
  );
}
