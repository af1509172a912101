import type { ErrorDetail } from '@aloft/errors';
import { EventFailureReason } from '@aloft/idl/flyteidl/admin/event';
import { InactiveProject } from '@aloft/idl/flyteidl/admin/project';
import { CreateWorkflowFailureReason } from '@aloft/idl/flyteidl/admin/workflow';
import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';

/** Typed details that clients read. */

export function inactiveProjectDetail(id: string, org: string): ErrorDetail {
  return { type: 'flyteidl.admin.InactiveProject', value: InactiveProject.encode({ id, org }).finish() };
}

export function alreadyTerminalDetail(currentPhase: string): ErrorDetail {
  const reason: EventFailureReason['reason'] = { $case: 'alreadyInTerminalState', value: { currentPhase } };
  return { type: 'flyteidl.admin.EventFailureReason', value: EventFailureReason.encode({ reason }).finish() };
}

export function incompatibleClusterDetail(cluster: string): ErrorDetail {
  const reason: EventFailureReason['reason'] = { $case: 'incompatibleCluster', value: { cluster } };
  return { type: 'flyteidl.admin.EventFailureReason', value: EventFailureReason.encode({ reason }).finish() };
}

export function workflowExistsDetail(id: Identifier, identical: boolean): ErrorDetail {
  const reason: CreateWorkflowFailureReason['reason'] = identical
    ? { $case: 'existsIdenticalStructure', value: { id } }
    : { $case: 'existsDifferentStructure', value: { id } };
  return {
    type: 'flyteidl.admin.CreateWorkflowFailureReason',
    value: CreateWorkflowFailureReason.encode({ reason }).finish(),
  };
}
