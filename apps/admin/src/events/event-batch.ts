import { notFound } from '@aloft/errors';
import type { ExecutionEvent } from '@aloft/idl/aloft/v1/bus';
import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Identifier, WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { NodeExecutionEvent, TaskExecutionEvent, WorkflowExecutionEvent } from '@aloft/idl/flyteidl/event/event';
import { foldExecutionEvent } from '../projection/fold-execution.js';
import { foldNodeEvent, judgeNodeEvent, newNodeState } from '../projection/fold-node.js';
import { foldTaskEvent, judgeTaskEvent, newTaskState } from '../projection/fold-task.js';
import { executionPhaseName, judgeExecution, nodePhaseName, taskPhaseName } from '../projection/phases.js';
import type { ProjectedNode, ProjectedTask } from '../projection/projection.repository.js';
import { describeKey, keyText, type NameKey } from '../registry/identifiers.js';
import { namesCluster, requireAccepted, requireCluster, requireExternal } from './event-guards.js';
import type { ForeignEvent, RunEvent } from './event-requests.js';
import type { EventRun } from './events.repository.js';

/** Which rows a batch of events has to have. */
export interface WantedRows {
  nodes: { executionId: bigint; nodeId: string }[];
  tasks: { executionId: bigint; nodeId: string; retryAttempt: number }[];
  /** Executions that have to exist. */
  children: NameKey[];
}

/**
 * Rows of the executions that some events tell of, and the events applied to them in memory, one after the other, by the same folds and
 * phase rules as the projection's (A-60…A-62). What is refused changes nothing.
 */
export class EventBatch {
  private readonly runs: Map<string, EventRun>;
  private readonly nodes = new Map<string, ProjectedNode>();
  private readonly tasks = new Map<string, ProjectedTask>();
  private readonly children = new Set<string>();
  /** What was changed. */
  readonly changedRuns = new Set<EventRun>();
  readonly changedNodes = new Set<ProjectedNode>();
  readonly changedTasks = new Set<ProjectedTask>();
  readonly movedRuns = new Set<EventRun>();

  constructor(runs: readonly EventRun[]) {
    this.runs = new Map(runs.map((run) => [keyText(run.key), run]));
  }

  wanted(events: readonly ForeignEvent[]): WantedRows {
    const wanted: WantedRows = { nodes: [], tasks: [], children: [] };
    for (const { key, told } of events) {
      const executionId = this.runs.get(keyText(key))?.execution.id;
      if (executionId === undefined) continue;
      if (told.$case === 'node') wantOfNode(wanted, executionId, told.value);
      if (told.$case === 'task') {
        const nodeId = told.value.parentNodeExecutionId?.nodeId ?? '';
        wanted.nodes.push({ executionId, nodeId });
        wanted.tasks.push({ executionId, nodeId, retryAttempt: told.value.retryAttempt });
      }
    }
    return { ...wanted, nodes: distinct(wanted.nodes), tasks: distinct(wanted.tasks) };
  }

  load(nodes: readonly ProjectedNode[], tasks: readonly ProjectedTask[], children: readonly NameKey[]): void {
    for (const node of nodes) this.nodes.set(nodeKey(node.executionId, node.state.nodeId), node);
    for (const task of tasks) {
      const { nodeId, retryAttempt, task: id } = task.state;
      this.tasks.set(taskKey(task.executionId, nodeId, retryAttempt, id), task);
    }
    for (const child of children) this.children.add(keyText(child));
  }

  /** The run with its row changed, and the event as it is told on; throws what the caller gets if it is refused. */
  apply({ key, producer, told }: ForeignEvent): { run: EventRun; event: ExecutionEvent } {
    const run = this.runs.get(keyText(key));
    if (!run) throw notFound(`there is no execution ${describeKey(key)}`);
    requireExternal(key, run.engine);
    switch (told.$case) {
      case 'workflow':
        this.applyToRun(run, producer, told.value);
        break;
      case 'node':
        requireCluster(key, run.cluster, producer);
        this.applyToNode(run, told.value);
        break;
      case 'task':
        requireCluster(key, run.cluster, producer);
        this.applyToTask(run, told.value);
    }
    this.changedRuns.add(run);
    const sequence = (run.execution.lastSequence += 1n);
    return {
      run,
      event: {
        sequence,
        event: toldOn(told, key),
        usage: undefined,
        waiting: undefined,
        route: undefined,
        itemPages: [],
      },
    };
  }

  private applyToRun(run: EventRun, producer: string, event: WorkflowExecutionEvent): void {
    const { state } = run.execution;
    const { phase } = state.closure;
    const verdict = judgeExecution(phase, event.phase);
    const refuse = () =>
      requireAccepted(
        verdict,
        `execution ${describeKey(run.key)}`,
        executionPhaseName(phase),
        executionPhaseName(event.phase),
      );
    if (verdict === 'duplicate') refuse();
    // A queued run may be given to another cluster.
    if (event.phase !== Phase.QUEUED) requireCluster(run.key, run.cluster, producer);
    refuse();
    foldExecutionEvent(state, event);
    if (!namesCluster(producer) || producer === run.cluster) return;
    run.cluster = producer;
    this.movedRuns.add(run);
  }

  private applyToNode({ key, execution }: EventRun, event: NodeExecutionEvent): void {
    const nodeId = event.id?.nodeId ?? '';
    const { id: executionId } = execution;
    const node = this.nodes.get(nodeKey(executionId, nodeId)) ?? { executionId, state: newNodeState(nodeId) };
    const { state } = node;
    requireAccepted(
      judgeNodeEvent(state, event),
      `node ${nodeId} of execution ${describeKey(key)}`,
      nodePhaseName(state.closure.phase),
      nodePhaseName(event.phase),
    );
    this.requireParents(executionId, key, event);
    foldNodeEvent(state, event);
    this.nodes.set(nodeKey(executionId, nodeId), node);
    this.changedNodes.add(node);
  }

  private requireParents(executionId: bigint, key: NameKey, event: NodeExecutionEvent): void {
    const parentNode = event.parentNodeMetadata?.nodeId ?? '';
    if (parentNode !== '' && !this.nodes.has(nodeKey(executionId, parentNode)))
      throw notFound(`event.parent_node_metadata.node_id: ${describeKey(key)} has no node execution ${parentNode}`);
    const parentTask = event.parentTaskMetadata?.id;
    if (parentTask) {
      const nodeId = parentTask.nodeExecutionId?.nodeId ?? '';
      const { retryAttempt, taskId } = parentTask;
      if (!taskId || !this.tasks.has(taskKey(executionId, nodeId, retryAttempt, taskId)))
        throw notFound(
          `event.parent_task_metadata.id: node ${nodeId} of ${describeKey(key)} has no such task execution (attempt ${retryAttempt})`,
        );
    }
    const child = childOf(event);
    if (child && !this.children.has(keyText(child)))
      throw notFound(
        `event.target_metadata.workflow_node_metadata.execution_id: there is no execution ${describeKey(child)}`,
      );
  }

  private applyToTask({ key, execution }: EventRun, event: TaskExecutionEvent): void {
    const nodeId = event.parentNodeExecutionId?.nodeId ?? '';
    const { id: executionId } = execution;
    if (!this.nodes.has(nodeKey(executionId, nodeId)))
      throw notFound(`event.parent_node_execution_id: execution ${describeKey(key)} has no node execution ${nodeId}`);
    const { retryAttempt } = event;
    const taskId = event.taskId as Identifier;
    const place = taskKey(executionId, nodeId, retryAttempt, taskId);
    const task = this.tasks.get(place) ?? { executionId, state: newTaskState(nodeId, retryAttempt, taskId) };
    const { state } = task;
    requireAccepted(
      judgeTaskEvent(state, event),
      `attempt ${retryAttempt} of node ${nodeId} of execution ${describeKey(key)} (phase version ${state.phaseVersion})`,
      taskPhaseName(state.closure.phase),
      `${taskPhaseName(event.phase)} (phase version ${event.phaseVersion})`,
    );
    foldTaskEvent(state, event);
    this.tasks.set(place, task);
    this.changedTasks.add(task);
  }
}

function wantOfNode({ nodes, tasks, children }: WantedRows, executionId: bigint, event: NodeExecutionEvent): void {
  nodes.push({ executionId, nodeId: event.id?.nodeId ?? '' });
  const parentNode = event.parentNodeMetadata?.nodeId ?? '';
  if (parentNode !== '') nodes.push({ executionId, nodeId: parentNode });
  const parentTask = event.parentTaskMetadata?.id;
  if (parentTask)
    tasks.push({
      executionId,
      nodeId: parentTask.nodeExecutionId?.nodeId ?? '',
      retryAttempt: parentTask.retryAttempt,
    });
  const child = childOf(event);
  if (child) children.push(child);
}

function childOf({ targetMetadata }: NodeExecutionEvent): WorkflowExecutionIdentifier | undefined {
  return targetMetadata?.$case === 'workflowNodeMetadata' ? targetMetadata.value.executionId : undefined;
}

/** Without a generated workflow by value: it may be large, and lies in blob storage (GetDynamicNodeWorkflow). */
function toldOn(told: RunEvent, executionId: NameKey): RunEvent {
  if (told.$case === 'workflow') return { $case: 'workflow', value: { ...told.value, executionId } };
  if (told.$case !== 'node' || told.value.targetMetadata?.$case !== 'taskNodeMetadata') return told;
  const { dynamicWorkflow, ...rest } = told.value.targetMetadata.value;
  if (!dynamicWorkflow) return told;
  const value = { ...rest, dynamicWorkflow: { ...dynamicWorkflow, compiledWorkflow: undefined } };
  return { $case: 'node', value: { ...told.value, targetMetadata: { $case: 'taskNodeMetadata', value } } };
}

const nodeKey = (executionId: bigint, nodeId: string): string => `${executionId}\n${nodeId}`;

/** Whether the task's identifier says what it is doesn't matter: a task execution's is a task. */
function taskKey(executionId: bigint, nodeId: string, attempt: number, task: Identifier): string {
  const { org, project, domain, name, version } = task;
  return [executionId, nodeId, attempt, org, project, domain, name, version].join('\n');
}

function distinct<T extends { executionId: bigint; nodeId: string; retryAttempt?: number }>(keys: readonly T[]): T[] {
  return [...new Map(keys.map((key) => [[key.executionId, key.nodeId, key.retryAttempt].join('\n'), key])).values()];
}
