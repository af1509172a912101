import { type BlobStore, followObject } from '@aloft/blob';
import type { Database } from '@aloft/database';
import { attemptPrefix, nodeDataPrefix } from '@aloft/engine';
import { AloftError, invalidArgument, notFound, toAloftError } from '@aloft/errors';
import type { StreamLogsRequest, StreamLogsResponse } from '@aloft/idl/aloft/v1/watch';
import { TaskExecutionClosure } from '@aloft/idl/flyteidl/admin/task_execution';
import type { ExecutionEvent } from '@aloft/idl/aloft/v1/bus';
import type { ExternalResourceInfo } from '@aloft/idl/flyteidl/event/event';
import { knownExecution, type KnownExecution } from '../executions/execution-lookup.js';
import type { ExecutionsRepository } from '../executions/executions.repository.js';
import { isTerminalExecution, isTerminalTask } from '../projection/phases.js';
import { describeKey } from '../registry/identifiers.js';
import type { TaskExecutionsRepository } from '../task-executions/task-executions.repository.js';
import { timestampOf } from '../time.js';
import type { LiveEvents } from '../watch/live-events.js';
import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { followFile } from './log-file.js';

const logFile = 'output.log';

/**
 * Output of attempts (aloft.v1.LogService): `<output prefix>/output.log`. In a folder of this machine a file that is followed as
 * it is written; in object storage its host adds parts while the attempt runs, wherever that is, and they are looked for once
 * a second while somebody follows. That the attempt has ended is an event either way.
 */
export class LogsService {
  constructor(
    private readonly database: Database,
    private readonly executions: ExecutionsRepository,
    private readonly tasks: TaskExecutionsRepository,
    private readonly live: LiveEvents,
    private readonly blob: BlobStore,
  ) {}

  /** What there is, then (with follow) what comes, until the attempt has ended. NOT_FOUND if nothing was kept. */
  async *stream(request: StreamLogsRequest, signal: AbortSignal): AsyncGenerator<StreamLogsResponse> {
    const nodeId = request.node?.nodeId ?? '';
    if (nodeId === '') throw invalidArgument('node.node_id: missing; name the node execution');
    const execution = await knownExecution(
      this.database,
      this.executions,
      request.node?.executionId,
      'node.execution_id',
    );
    const ended = new AbortController();
    const gone = new AbortController();
    if (request.follow) void this.watchForEnd(execution, nodeId, request, ended, gone.signal);
    signal.addEventListener('abort', () => gone.abort(), { once: true });
    try {
      const uri = await this.locate(execution, nodeId, request);
      const path = this.blob.localPath(uri);
      let found = false;
      const until = request.follow ? ended.signal : undefined;
      const chunks = path
        ? followFile(path, { tailLines: request.tailLines, until, signal })
        : followObject(this.blob, uri, { signal, tailLines: request.tailLines, ...(until ? { until } : {}) });
      for await (const data of chunks) {
        found = true;
        yield { data: Buffer.from(data), time: timestampOf(new Date()) };
      }
      if (ended.signal.reason instanceof AloftError) throw ended.signal.reason;
      if (!found && !request.follow && !(await this.blob.head(uri)))
        throw notFound(
          `attempt ${request.retryAttempt} of node ${nodeId} of ${describeKey(execution.key)} has no output (yet): ` +
            'it has not started, or its backend keeps its output elsewhere (see the log links of the task execution)',
        );
    } finally {
      gone.abort();
    }
  }

  private async locate({ key }: KnownExecution, nodeId: string, request: StreamLogsRequest): Promise<string> {
    const attempt = attemptPrefix(nodeDataPrefix(key, nodeId), request.retryAttempt);
    if (request.index === undefined) return `${attempt}/${logFile}`;
    // The latest attempt of the item that has any output.
    let latest = 0;
    const folder = `${attempt}/${request.index}/`;
    for await (const { uri } of this.blob.list(folder)) {
      const [itemAttempt, file = ''] = uri.slice(folder.length).split('/');
      if (file.startsWith(logFile) && Number(itemAttempt) > latest) latest = Number(itemAttempt);
    }
    return `${folder}${latest}/${logFile}`;
  }

  /** Aborts `ended` when the attempt has ended, by its row or by an event of it. */
  private async watchForEnd(
    { key, row }: KnownExecution,
    nodeId: string,
    request: StreamLogsRequest,
    ended: AbortController,
    gone: AbortSignal,
  ): Promise<void> {
    const queue = this.live.ofRun(key);
    try {
      for (;;) {
        // Read anew after an overflow: the end may have been among what was dropped.
        const current = await this.executions.find(this.database, key);
        const task = await this.tasks.findAttempt(this.database, row.id, nodeId, request.retryAttempt);
        const over = !current || isTerminalExecution(Phase[current.phase as keyof typeof Phase]);
        if (over || (task && hasEnded(TaskExecutionClosure.decode(task.closure), request.index))) return;
        for (;;) {
          const batch = await queue.next(gone);
          if (batch === undefined) return;
          if ('dropped' in batch) break;
          if (batch.items.some(({ event, uid }) => uid === row.uid && ends(event, nodeId, request))) return;
        }
      }
    } catch (error) {
      // The reader gets what there is, and then learns why nothing more comes.
      ended.abort(toAloftError(error));
    } finally {
      queue.close();
      ended.abort();
    }
  }
}

function hasEnded(closure: TaskExecutionClosure, index: number | undefined): boolean {
  return isTerminalTask(closure.phase) || itemHasEnded(closure.metadata?.externalResources ?? [], index);
}

function itemHasEnded(resources: readonly ExternalResourceInfo[], index: number | undefined): boolean {
  if (index === undefined) return false;
  const last = resources.filter((resource) => resource.index === index).at(-1);
  return last !== undefined && isTerminalTask(last.phase);
}

function ends({ event }: ExecutionEvent, nodeId: string, request: StreamLogsRequest): boolean {
  if (event?.$case === 'workflow') return isTerminalExecution(event.value.phase);
  if (event?.$case !== 'task') return false;
  const { parentNodeExecutionId, retryAttempt, phase, metadata } = event.value;
  if (parentNodeExecutionId?.nodeId !== nodeId || retryAttempt !== request.retryAttempt) return false;
  return isTerminalTask(phase) || itemHasEnded(metadata?.externalResources ?? [], request.index);
}
