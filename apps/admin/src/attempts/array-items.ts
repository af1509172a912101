import { ItemState, stateAt } from '@aloft/engine';
import type { ItemPage } from '@aloft/idl/aloft/v1/bus';
import { Item } from '@aloft/idl/aloft/v1/attempts';
import type { TaskExecutionClosure } from '@aloft/idl/flyteidl/admin/task_execution';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { ExternalResourceInfo } from '@aloft/idl/flyteidl/event/event';
import { isTerminalTask } from '../projection/phases.js';

/** How an array stands in sum, as its events tell it (C-144). */
export interface ArraySums {
  size: number;
  succeeded: number;
  failed: number;
  active: number;
}

/** Undefined if it is no array's. */
export function sumsOf({ customInfo, metadata }: TaskExecutionClosure): ArraySums | undefined {
  const number = (key: string) => (typeof customInfo?.[key] === 'number' ? customInfo[key] : undefined);
  const size = number('size');
  if (size === undefined || metadata?.pluginIdentifier !== arrayPlugin) return undefined;
  return { size, succeeded: number('succeeded') ?? 0, failed: number('failed') ?? 0, active: number('active') ?? 0 };
}

/** By whose name the engine's arrays go, as Flyte's do. */
export const arrayPlugin = 'k8s-array';

/** Items of one attempt of an array: the first ones as their task execution lists them, all of them as pages have them. */
export class ArrayItems {
  /** Last attempts, by index. */
  private readonly listed = new Map<number, ExternalResourceInfo>();
  private readonly isOver: boolean;

  constructor(
    private readonly closure: TaskExecutionClosure,
    private readonly sums: ArraySums,
  ) {
    this.isOver = isTerminalTask(closure.phase);
    for (const resource of closure.metadata?.externalResources ?? []) this.listed.set(resource.index, resource);
  }

  /** Of the items from `first` to before `end`: those in one of the phases (any, if none is named). */
  *between(first: number, end: number, page: ItemPage | undefined, phases: ReadonlySet<Phase>): Generator<Item> {
    for (let index = first; index < Math.min(end, this.sums.size); index++) {
      const item = this.item(index, page);
      if (phases.size === 0 || phases.has(item.phase)) yield item;
    }
  }

  private item(index: number, page: ItemPage | undefined): Item {
    const listed = this.listed.get(index);
    const at = page ? index - page.firstIndex : 0;
    const state = page ? stateAt(page.states, at) : undefined;
    const retryAttempt = page?.attempts[at] ?? listed?.retryAttempt ?? 0;
    const known = listed?.retryAttempt === retryAttempt ? listed : undefined;
    const phase = this.phaseOf(state, known);
    const begun = phase !== Phase.UNDEFINED || retryAttempt > 0;
    return Item.fromPartial({
      index,
      retryAttempt,
      phase,
      externalId:
        known?.externalId ?? (begun ? `${this.closure.metadata?.generatedName}-n${index}-${retryAttempt}` : ''),
      cacheStatus: known?.cacheStatus,
      logs: known?.logs,
      child:
        known?.targetMetadata?.$case === 'workflowNodeMetadata' ? known.targetMetadata.value.executionId : undefined,
    });
  }

  private phaseOf(state: number | undefined, listed: ExternalResourceInfo | undefined): Phase {
    if (state === ItemState.Succeeded) return Phase.SUCCEEDED;
    if (state === ItemState.Failed) return Phase.FAILED;
    if (listed && (isTerminalTask(listed.phase) || !this.isOver)) return listed.phase;
    if (state !== ItemState.Active && !listed) return Phase.UNDEFINED;
    return this.isOver ? Phase.ABORTED : Phase.RUNNING;
  }
}
