import type { ExecutionEvent } from '@aloft/idl/aloft/v1/bus';
import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { ExecutionCreateRequest } from '@aloft/idl/flyteidl/admin/execution';
import { literalOf } from '@aloft/literals';
import type { Services } from './services.js';
import { domain, project } from './workflows.js';

export const executionOf = (name: string) => ({ org: '', project, domain, name });

/** Starts a run of a launch plan under a name. */
export async function startRun(
  { admin }: Services,
  plan: string,
  name: string,
  spec: Record<string, unknown> = {},
): Promise<void> {
  await admin.createExecution(
    ExecutionCreateRequest.fromPartial({
      project,
      domain,
      name,
      spec: { launchPlan: { resourceType: 3, project, domain, name: plan, version: 'v1' }, ...spec },
      inputs: { literals: { x: literalOf.integer(1n) } },
    }),
  );
}

/** Resolves with the phase in which a run ended, once the read model has it. */
export async function endOf(services: Services, name: string): Promise<string> {
  let phase = Phase.UNDEFINED;
  for await (const { update } of services.watch.watchExecution({
    id: executionOf(name),
    executionOnly: true,
    afterSequence: 0n,
    untilStored: true,
  })) {
    if (update?.$case === 'snapshot') phase = update.value.execution?.closure?.phase ?? phase;
    if (update?.$case === 'event' && update.value.event?.$case === 'workflow') phase = update.value.event.value.phase;
  }
  return Phase[phase] as string;
}

/** Resolves when an event of a run fits, or its snapshot does, and the read model has it. */
export async function eventOf(
  services: Services,
  name: string,
  fits: (event: ExecutionEvent) => boolean,
): Promise<void> {
  for await (const { update } of services.watch.watchExecution({
    id: executionOf(name),
    executionOnly: false,
    afterSequence: 0n,
    untilStored: false,
  })) {
    const waits = update?.$case === 'snapshot' ? update.value.waits : [];
    const found =
      update?.$case === 'event'
        ? fits(update.value)
        : waits.some((waiting) =>
            fits({ sequence: 0n, event: undefined, usage: undefined, waiting, route: undefined, itemPages: [] }),
          );
    if (found) return services.caughtUp();
  }
  throw new Error(`${name} ended without the event that was waited for`);
}
