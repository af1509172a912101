import type { StartChild } from '@aloft/engine';
import { AloftError, toAloftError, type ErrorCode } from '@aloft/errors';
import { ParentNode } from '@aloft/idl/aloft/v1/bus';
import { ChildStarted } from '@aloft/idl/aloft/v1/engine';
import {
  ExecutionMetadata_ExecutionMode as Mode,
  type ExecutionCreateRequest,
} from '@aloft/idl/flyteidl/admin/execution';
import { ExecutionError_ErrorKind } from '@aloft/idl/flyteidl/core/execution';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import type { AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import type { RpcClient } from '@aloft/rpc';
import type { LiteralStore } from '../commit/literal-store.js';
import type { Timing } from '../runs/timing.js';
import { RequestFailed, systemFault, userFault, type Answer } from './answers.js';
import { storagePolicy, systemFaults, unreachable, withRetries, type RetryPolicy } from './retry.js';

export type AdminClient = RpcClient<typeof AdminServiceService>;

/**
 * While admin is not there at all, or does not answer in time, the node waits for it: nothing is lost, and failing would not
 * help. A create that was heard although its answer got lost finds its own child when it is asked for again.
 */
const notThere: ReadonlySet<ErrorCode> = new Set([...unreachable, 'DEADLINE_EXCEEDED', 'CANCELLED']);
const waiting: RetryPolicy = { tries: Infinity, firstPauseMs: 100, maxPauseMs: 10_000, retried: notThere };
/** C-13: a fault of the system is tried again before the node hears of it. */
const faults: ReadonlySet<ErrorCode> = new Set([...systemFaults].filter((code) => !notThere.has(code)));
const trying: RetryPolicy = { tries: 4, firstPauseMs: 200, maxPauseMs: 2000, retried: faults };

/** Header in which admin is told which attempt of the parent node asks. */
export const parentAttemptHeader = 'aloft-parent-attempt';

/** Child executions (C-13, C-163): started and stopped through admin, under a derived name. */
export class ChildRequests {
  constructor(private readonly options: { admin: () => AdminClient; literals: LiteralStore; timing: Timing }) {}

  async start(ask: StartChild, parent: WorkflowExecutionIdentifier, signal: AbortSignal): Promise<Answer> {
    const child = { project: parent.project, domain: parent.domain, org: parent.org, name: ask.name };
    const { timing } = this.options;
    const { literals } = this.options;
    // Storage that is away is waited for, as everywhere: the node's attempts are not for that.
    const inputs = await withRetries(() => literals.load(ask.inputs), storagePolicy, signal, timing);
    try {
      await withRetries(
        () => withRetries(() => this.create(ask, parent, inputs, signal), trying, signal, timing),
        waiting,
        signal,
        timing,
      );
      return { $case: 'child', value: { child, childUid: '' } };
    } catch (thrown) {
      const error = toAloftError(thrown);
      if (error.code === 'ALREADY_EXISTS') return this.existing(ask, parent, child, error);
      if (signal.aborted) throw error;
      const message = `child execution ${ask.name} could not be started: ${error.message}`;
      const told = new AloftError(error.code, message, { cause: error });
      throw systemFaults.has(error.code) ? systemFault('ChildExecutionFailed', told) : userFault(error.code, told);
    }
  }

  /** Harmless when it has ended, or was never there. */
  async abort(child: WorkflowExecutionIdentifier, cause: string, signal: AbortSignal): Promise<void> {
    const everything: RetryPolicy = { ...waiting, retried: new Set([...unreachable, ...systemFaults]) };
    try {
      await withRetries(
        () => this.options.admin().terminateExecution({ id: child, cause }, { signal }),
        everything,
        signal,
        this.options.timing,
      );
    } catch (thrown) {
      const error = toAloftError(thrown);
      if (error.code !== 'NOT_FOUND' && error.code !== 'FAILED_PRECONDITION') throw error;
    }
  }

  private async create(
    ask: StartChild,
    parent: WorkflowExecutionIdentifier,
    inputs: LiteralMap,
    signal: AbortSignal,
  ): Promise<void> {
    const { settings } = ask;
    const parentNodeExecution = { nodeId: ask.nodeId, executionId: parent };
    const call = { signal, metadata: { [parentAttemptHeader]: String(ask.attempt) } };
    const admin = this.options.admin();
    const metadata = {
      mode: Mode.CHILD_WORKFLOW,
      principal: settings.principal,
      nesting: settings.nesting + 1,
      scheduledAt: undefined,
      parentNodeExecution,
      referenceExecution: undefined,
      systemMetadata: undefined,
      artifactIds: [],
    };
    if (ask.recover !== undefined) {
      try {
        await admin.recoverExecution({ id: { ...parent, name: ask.recover }, name: ask.name, metadata }, call);
        return;
      } catch (thrown) {
        // It was never created, or is gone: this one starts from scratch.
        if (toAloftError(thrown).code !== 'NOT_FOUND') throw thrown;
      }
    }
    const request: ExecutionCreateRequest = {
      project: parent.project,
      domain: parent.domain,
      org: parent.org,
      name: ask.name,
      inputs,
      spec: {
        launchPlan: ask.launchPlan,
        inputs: undefined,
        metadata,
        notificationOverrides: undefined,
        labels: { values: settings.labels },
        annotations: { values: settings.annotations },
        securityContext: settings.securityContext,
        authRole: undefined,
        qualityOfService: undefined,
        maxParallelism: settings.maxParallelism,
        rawOutputDataConfig: { outputLocationPrefix: settings.rawOutputPrefix },
        clusterAssignment: undefined,
        interruptible: settings.interruptible,
        overwriteCache: settings.overwriteCache,
        envs: { values: settings.envs },
        tags: [],
        executionClusterLabel: undefined,
        executionEnvAssignments: [],
      },
    };
    await admin.createExecution(request, call);
  }

  /** The name is taken: that is our child only if its parent is this node. */
  private async existing(
    ask: StartChild,
    parent: WorkflowExecutionIdentifier,
    child: WorkflowExecutionIdentifier,
    error: AloftError,
  ): Promise<Answer> {
    const detail = (type: string) => error.details.find((candidate) => candidate.type.endsWith(type))?.value;
    const started = detail('aloft.v1.ChildStarted');
    const of = detail('aloft.v1.ParentNode');
    // An admin that gives no details is asked whose child it is.
    const owner = of ? ParentNode.decode(of) : started ? undefined : await this.parentOf(child);
    if (!owner || owner.nodeId !== ask.nodeId || !sameExecution(owner.execution, parent)) {
      throw new RequestFailed(
        'ALREADY_EXISTS',
        ExecutionError_ErrorKind.USER,
        `execution ${child.project}/${child.domain}/${child.name} exists already and is not a child of node ` +
          `${ask.nodeId} of ${parent.name}; end it and choose another name for one of the two`,
      );
    }
    return { $case: 'child', value: { child, childUid: started ? ChildStarted.decode(started).childUid : '' } };
  }

  private async parentOf(
    child: WorkflowExecutionIdentifier,
  ): Promise<Pick<ParentNode, 'nodeId' | 'execution'> | undefined> {
    const { spec } = await this.options.admin().getExecution({ id: child });
    const node = spec?.metadata?.parentNodeExecution;
    return node && { nodeId: node.nodeId, execution: node.executionId };
  }
}

function sameExecution(a: WorkflowExecutionIdentifier | undefined, b: WorkflowExecutionIdentifier): boolean {
  return a?.org === b.org && a.project === b.project && a.domain === b.domain && a.name === b.name;
}
