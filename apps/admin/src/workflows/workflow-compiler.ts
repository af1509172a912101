import { requirementsOf, type LaunchPlanInterface } from '@aloft/compiler';
import { invalidArgument } from '@aloft/errors';
import type { WorkflowSpec } from '@aloft/idl/flyteidl/admin/workflow';
import type { CompiledTask } from '@aloft/idl/flyteidl/core/compiler';
import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { ParameterMap, VariableMap } from '@aloft/idl/flyteidl/core/interface';
import { builtScript, CallThread } from '@aloft/service/thread';
import type { LaunchPlansRepository } from '../launch-plans/launch-plans.repository.js';
import { describeKey } from '../registry/identifiers.js';
import type { Registry } from '../registry/registry.js';
import type { TasksService } from '../tasks/tasks.service.js';
import { compileSpec, encodeSpec, type CompiledSpec, type EncodedSpec } from './compile-spec.js';

/** References looked up at once: a large workflow must not take every connection. */
const maxParallelLookUps = 8;
/** Larger workflows are compiled beside the event loop. */
const maxOnLoopBytes = 256 * 1024;

/** Compiles a workflow with all that it refers to, taken from the registry. */
export class WorkflowCompiler {
  private readonly thread: CallThread<EncodedSpec> | undefined;

  constructor(
    private readonly registry: Registry,
    private readonly tasks: TasksService,
    private readonly plans: LaunchPlansRepository,
  ) {
    const script = builtScript('./compile-worker.js', import.meta.url);
    this.thread = script === undefined ? undefined : new CallThread(script);
  }

  async close(): Promise<void> {
    await this.thread?.stop();
  }

  /** `originalSpec`: `spec` as it was sent. INVALID_ARGUMENT with every compile error, or with the references that are not registered (K-8). */
  async compile(id: Identifier, spec: WorkflowSpec, originalSpec: Uint8Array): Promise<CompiledSpec> {
    if (!spec.template) throw invalidArgument('spec.template: missing; a workflow needs its template');
    const template = { ...spec.template, id };
    const required = requirementsOf(template, spec.subWorkflows);
    const tasks = await lookUp(required.tasks, (task) => this.task(task));
    const launchPlans = await lookUp(required.launchPlans, (plan) => this.launchPlan(plan));
    const missing = [
      ...missingOf('task', required.tasks, tasks),
      ...missingOf('launch plan', required.launchPlans, launchPlans),
    ];
    if (missing.length > 0)
      throw invalidArgument(
        `spec.template: refers to what is not registered; register first:\n  ${missing.join('\n  ')}`,
      );
    const input = {
      id,
      spec,
      tasks: tasks.filter((task) => task !== undefined),
      launchPlans: launchPlans.filter((plan) => plan !== undefined),
    };
    if (!this.thread || originalSpec.length <= maxOnLoopBytes) return compileSpec(input);
    return (await this.thread.call(encodeSpec(input, originalSpec))) as CompiledSpec;
  }

  private async task(id: Identifier): Promise<CompiledTask | undefined> {
    return (await this.tasks.find(id))?.compiled;
  }

  private async launchPlan(id: Identifier): Promise<LaunchPlanInterface | undefined> {
    const row = await this.plans.find(this.registry.read, id);
    if (!row) return undefined;
    return {
      id: { ...id, resourceType: ResourceType.LAUNCH_PLAN },
      expectedInputs: ParameterMap.decode(row.expectedInputs),
      expectedOutputs: VariableMap.decode(row.expectedOutputs),
    };
  }
}

async function lookUp<T>(ids: readonly Identifier[], find: (id: Identifier) => Promise<T>): Promise<T[]> {
  const found: T[] = new Array<T>(ids.length);
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < ids.length; i = next++) found[i] = await find(ids[i] as Identifier);
  };
  await Promise.all(Array.from({ length: Math.min(maxParallelLookUps, ids.length) }, worker));
  return found;
}

function missingOf(what: string, ids: readonly Identifier[], found: readonly unknown[]): string[] {
  return ids.filter((_id, i) => found[i] === undefined).map((id) => `${what} ${describeKey(id)}`);
}
