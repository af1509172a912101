import { ResourceListRequest } from '@aloft/idl/flyteidl/admin/common';
import { ExecutionCreateRequest } from '@aloft/idl/flyteidl/admin/execution';
import type { Identifier, WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { domain, project, x } from './entities.js';
import type { Platform } from './platform.js';

export const execution = (name: string): WorkflowExecutionIdentifier => ({ project, domain, name, org: '' });

/** Calls of a spec about runs of one launch plan; `of` is asked when one is made. */
export function executionCalls(of: () => { platform: Platform; plan: Identifier }) {
  const request = (name: string, inputs: LiteralMap | undefined, spec: object = {}): ExecutionCreateRequest =>
    ExecutionCreateRequest.fromPartial({ project, domain, name, inputs, spec: { launchPlan: of().plan, ...spec } });
  return {
    request,
    /** Resolves to the start command. */
    async create(name: string, inputs: LiteralMap | null = x(1), spec: object = {}) {
      const { platform } = of();
      await platform.admin.createExecution(request(name, inputs ?? undefined, spec));
      return platform.commands.start(name);
    },
    /** Names. */
    async list(filters = '', rest: object = {}) {
      const scope = { project, domain, name: '', org: '' };
      const wanted = ResourceListRequest.fromPartial({ id: scope, limit: 100, filters, ...rest });
      return (await of().platform.admin.listExecutions(wanted)).executions.map(({ id }) => id?.name);
    },
  };
}
