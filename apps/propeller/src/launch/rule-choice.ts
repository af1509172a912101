import { Placement } from '@aloft/idl/aloft/v1/bus';
import type { RoutingChoice } from '@aloft/idl/aloft/v1/routing';
import { Identity, type SecurityContext } from '@aloft/idl/flyteidl/core/security';
import { TaskMetadata, type TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';

/** What a rule says of the place wins over the run's attributes. */
export function placed(placement: Placement | undefined, choice: RoutingChoice | undefined): Placement | undefined {
  if (!choice || (choice.queue === '' && choice.clusterLabel === '' && choice.clusterPool === '')) return placement;
  const before = placement ?? Placement.create();
  return {
    ...before,
    queue: choice.queue || before.queue,
    clusterLabel: choice.clusterLabel || before.clusterLabel,
    clusterPool: choice.clusterPool || before.clusterPool,
  };
}

/** Whom a rule says that an attempt is wins over what its run says: roles and accounts are of a place, too. */
export function identified(
  context: SecurityContext | undefined,
  choice: RoutingChoice | undefined,
): SecurityContext | undefined {
  if (!choice || (choice.iamRole === '' && choice.serviceAccount === '')) return context;
  const before = Identity.fromPartial(context?.runAs ?? {});
  const runAs = {
    ...before,
    iamRole: choice.iamRole || before.iamRole,
    k8sServiceAccount: choice.serviceAccount || before.k8sServiceAccount,
  };
  return { secrets: context?.secrets ?? [], tokens: context?.tokens ?? [], runAs };
}

/** A task that names a template of its own keeps it. */
export function withPodTemplate(template: TaskTemplate, choice: RoutingChoice | undefined): TaskTemplate {
  if (!choice || choice.podTemplate === '' || (template.metadata?.podTemplateName ?? '') !== '') return template;
  const metadata = TaskMetadata.fromPartial(template.metadata ?? {});
  return { ...template, metadata: { ...metadata, podTemplateName: choice.podTemplate } };
}
