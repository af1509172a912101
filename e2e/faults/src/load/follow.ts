import { setTimeout as delay } from 'node:timers/promises';
import type { ExecutionEvent } from '@aloft/idl/aloft/v1/bus';
import type { ExecutionSnapshot } from '@aloft/idl/aloft/v1/watch';
import { CatalogCacheStatus } from '@aloft/idl/flyteidl/core/catalog';
import { NodeExecution_Phase, TaskExecution_Phase, WorkflowExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { NodeRecord, Observation, Phase, RunRecord, TaskRecord } from '../evidence/evidence.js';
import type { Client } from './client.js';
import { valuesOf } from './literals.js';

export const endedRun: ReadonlySet<string> = new Set(['SUCCEEDED', 'FAILED', 'ABORTED', 'TIMED_OUT']);
const endedNode = new Set(['SUCCEEDED', 'FAILED', 'ABORTED', 'SKIPPED', 'TIMED_OUT', 'RECOVERED']);
const endedTask = new Set(['SUCCEEDED', 'FAILED', 'ABORTED', 'RETRYABLE_FAILED']);

/** Follows a run to its end by Watch and writes down what was told, when. */
export async function follow(client: Client, run: RunRecord, signal: AbortSignal): Promise<void> {
  let last = 0n;
  const watching = client.watch(run.name, {
    executionOnly: false,
    after: () => last,
    isOver: () => run.endedAt !== undefined,
    signal,
  });
  for await (const { update } of watching) {
    const at = Date.now();
    if (update?.$case === 'snapshot') {
      if (update.value.sequence < last)
        run.streamFaults.push(`a snapshot of sequence ${update.value.sequence} came after event ${last} was told`);
      last = update.value.sequence;
      observeSnapshot(run, update.value, at);
    } else if (update?.$case === 'event') {
      const event = update.value;
      if (event.event?.$case === 'quarantined') {
        run.streamFaults.push(`the run was set aside: ${event.event.value.reason}`);
        continue;
      }
      if (event.sequence !== last + 1n)
        run.streamFaults.push(`event ${event.sequence} came after event ${last}, in one stream`);
      last = event.sequence;
      observeEvent(run, event, at);
    }
  }
}

function observe(run: RunRecord, observation: Observation): void {
  run.observations.push(observation);
  if (observation.of === 'run' && observation.terminal) run.endedAt ??= observation.at;
}

function observeSnapshot(run: RunRecord, snapshot: ExecutionSnapshot, at: number): void {
  const common = { at, sequence: Number(snapshot.sequence), snapshot: true };
  for (const { id, closure } of snapshot.nodes) {
    const phase = nameOf(NodeExecution_Phase, closure?.phase);
    observe(run, { ...common, of: 'node', node: id?.nodeId ?? '', phase, terminal: endedNode.has(phase) });
  }
  for (const { id, closure } of snapshot.tasks) {
    const phase = nameOf(TaskExecution_Phase, closure?.phase);
    const node = id?.nodeExecutionId?.nodeId ?? '';
    observe(run, { ...common, of: 'task', node, attempt: id?.retryAttempt, phase, terminal: endedTask.has(phase) });
  }
  const phase = nameOf(WorkflowExecution_Phase, snapshot.execution?.closure?.phase);
  observe(run, { ...common, of: 'run', node: '', phase, terminal: endedRun.has(phase) });
}

function observeEvent(run: RunRecord, { sequence, event }: ExecutionEvent, at: number): void {
  const common = { at, sequence: Number(sequence), snapshot: false };
  switch (event?.$case) {
    case 'workflow': {
      const phase = nameOf(WorkflowExecution_Phase, event.value.phase);
      return observe(run, { ...common, of: 'run', node: '', phase, terminal: endedRun.has(phase) });
    }
    case 'node': {
      const phase = nameOf(NodeExecution_Phase, event.value.phase);
      const node = event.value.id?.nodeId ?? '';
      return observe(run, { ...common, of: 'node', node, phase, terminal: endedNode.has(phase) });
    }
    case 'task': {
      const phase = nameOf(TaskExecution_Phase, event.value.phase);
      const node = event.value.parentNodeExecutionId?.nodeId ?? '';
      const attempt = event.value.retryAttempt;
      return observe(run, { ...common, of: 'task', node, attempt, phase, terminal: endedTask.has(phase) });
    }
  }
}

/** What the API says of a run that has ended: its outputs or error, and its nodes and tasks as the read model has them. */
export async function collect(client: Client, run: RunRecord, signal: AbortSignal): Promise<void> {
  // The read model follows the events that Watch tells of.
  for (;;) {
    const { closure } = await client.execution(run.name, signal);
    const phase = nameOf(WorkflowExecution_Phase, closure?.phase);
    if (closure?.outputResult?.$case === 'error') run.error = closure.outputResult.value.message;
    if (endedRun.has(phase)) {
      run.phase = phase as Phase;
      break;
    }
    signal.throwIfAborted();
    await delay(20);
  }
  if (run.phase === 'SUCCEEDED') run.outputs = valuesOf((await client.data(run.name, signal)).fullOutputs);
  const done = { over: false };
  const watching = client.watch(run.name, {
    executionOnly: false,
    after: () => 0n,
    isOver: () => done.over,
    signal,
  });
  for await (const { update } of watching) {
    if (update?.$case !== 'snapshot') continue;
    done.over = true;
    run.nodes = nodesOf(update.value);
    break;
  }
}

function nodesOf(snapshot: ExecutionSnapshot): NodeRecord[] {
  const tasks = new Map<string, TaskRecord[]>();
  for (const { id, closure } of snapshot.tasks) {
    const node = id?.nodeExecutionId?.nodeId ?? '';
    const items = (closure?.metadata?.externalResources ?? []).map(({ index, retryAttempt, phase }) => ({
      index,
      attempt: retryAttempt,
      phase: nameOf(TaskExecution_Phase, phase),
    }));
    const record: TaskRecord = {
      attempt: id?.retryAttempt ?? 0,
      phase: nameOf(TaskExecution_Phase, closure?.phase),
      ...(items.length > 0 ? { items } : {}),
    };
    tasks.set(node, [...(tasks.get(node) ?? []), record]);
  }
  return snapshot.nodes.map(({ id, closure, metadata }) => {
    const target = closure?.targetMetadata;
    return {
      id: id?.nodeId ?? '',
      // A branch's cases carry its id in front: `n0-hi`.
      step: (metadata?.specNodeId || (id?.nodeId ?? '')).split('-').at(-1) as string,
      phase: nameOf(NodeExecution_Phase, closure?.phase),
      cacheHit: target?.$case === 'taskNodeMetadata' && target.value.cacheStatus === CatalogCacheStatus.CACHE_HIT,
      tasks: tasks.get(id?.nodeId ?? '') ?? [],
      ...(target?.$case === 'workflowNodeMetadata' ? { child: target.value.executionId?.name } : {}),
    };
  });
}

function nameOf(names: Record<number, string>, value: number | undefined): string {
  return names[value ?? 0] ?? `phase ${value}`;
}
