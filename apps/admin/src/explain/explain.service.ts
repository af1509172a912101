import type { NodeExplanation } from '@aloft/engine';
import type { Database } from '@aloft/database';
import { invalidArgument, notFound, toAloftError } from '@aloft/errors';
import { WaitReason } from '@aloft/idl/aloft/v1/bus';
import type {
  ExplainExecutionRequest,
  ExplainExecutionResponse,
  ExplainNodeRequest,
  ExplainNodeResponse,
  ListWaitingRequest,
  ListWaitingResponse,
} from '@aloft/idl/aloft/v1/explain';
import { ExecutionClosure } from '@aloft/idl/flyteidl/admin/execution';
import { NodeExecutionClosure } from '@aloft/idl/flyteidl/admin/node_execution';
import { NodeExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { knownExecution, noLogHere, requireOwnEngine, type KnownExecution } from '../executions/execution-lookup.js';
import type { ExecutionsRepository } from '../executions/executions.repository.js';
import type { FoldSlots } from '../history/fold-slots.js';
import type { RunFolder } from '../history/run-folder.js';
import type { NodeExecutionsRepository } from '../node-executions/node-executions.repository.js';
import { isTerminalExecution } from '../projection/phases.js';
import { describeKey, requireExecutionId, requirePart, type NameKey } from '../registry/identifiers.js';
import type { WaitsRepository } from './waits.repository.js';

const defaultWaiting = 100;
const mostListed = 1000;

/** Why something isn't running (U-12): asked of the run's own state, or of what events told of all runs. */
export class ExplainService {
  constructor(
    private readonly database: Database,
    private readonly executions: ExecutionsRepository,
    private readonly nodes: NodeExecutionsRepository,
    private readonly waits: WaitsRepository,
    private readonly folder: RunFolder,
    private readonly slots: FoldSlots,
  ) {}

  async explainExecution(request: ExplainExecutionRequest, signal: AbortSignal): Promise<ExplainExecutionResponse> {
    const known = await knownExecution(this.database, this.executions, request.id, 'id');
    const { phase } = ExecutionClosure.decode(known.row.closure);
    const quarantineReason = known.row.quarantineReason ?? '';
    if (isTerminalExecution(phase)) return { phase, nodes: [], inFlight: 0, dependent: 0, quarantineReason };
    requireOwnEngine(known, noLogHere);
    const run = await this.current(known, signal).catch(absentIfNotFound);
    // Its start is on its way.
    if (!run) return { phase, nodes: [], inFlight: 0, dependent: 0, quarantineReason };
    const limit = Math.min(request.limit || mostListed, mostListed);
    return { phase: run.phase || phase, ...run.overview(limit), quarantineReason };
  }

  async explainNode({ id }: ExplainNodeRequest, signal: AbortSignal): Promise<ExplainNodeResponse> {
    if (!id || id.nodeId === '') throw invalidArgument('id.node_id: missing; name a node by its unique id');
    const known = await knownExecution(this.database, this.executions, id.executionId, 'id.execution_id');
    const { phase } = ExecutionClosure.decode(known.row.closure);
    if (!isTerminalExecution(phase)) requireOwnEngine(known, noLogHere);
    const live = isTerminalExecution(phase) ? undefined : (await this.current(known, signal)).explain(id.nodeId);
    const node = live ?? (await this.ended(known, id.nodeId));
    if (!node)
      throw notFound(
        `execution ${describeKey(known.key)} has no node ${JSON.stringify(id.nodeId)} yet: nodes inside a dynamic task, a ` +
          'sub-workflow or a branch are known once it runs',
      );
    return { node };
  }

  /** Of the read model: as of the events that it has, the longest waits first. */
  async listWaiting(request: ListWaitingRequest): Promise<ListWaitingResponse> {
    const scope = scopeOf(request);
    const limit = Math.min(request.limit || defaultWaiting, mostListed);
    const rows = await this.waits.list(this.database, {
      ...scope,
      kinds: request.kinds,
      after: positionOf(request.token),
      limit,
    });
    const last = rows.length === limit ? rows.at(-1) : undefined;
    return {
      nodes: rows.map(({ org, project, domain, name, nodeId, wait }) => ({
        id: { nodeId, executionId: { org, project, domain, name } },
        wait: WaitReason.decode(wait),
      })),
      token: last ? `${last.since}/${last.id}` : '',
    };
  }

  private current({ key, row }: KnownExecution, signal: AbortSignal) {
    return this.slots.with(() => this.folder.current({ id: key, uid: row.uid }, signal));
  }

  /** A node that is over, and which the engine has forgotten. */
  private async ended({ row }: KnownExecution, nodeId: string): Promise<NodeExplanation | undefined> {
    const found = await this.nodes.find(this.database, row.id, nodeId);
    if (!found) return undefined;
    const phase = NodeExecution_Phase[NodeExecutionClosure.decode(found.closure).phase] ?? '';
    return { nodeId, state: phase.charAt(0) + phase.slice(1).toLowerCase(), wait: undefined };
  }
}

function absentIfNotFound(error: unknown): undefined {
  if (toAloftError(error).code !== 'NOT_FOUND') throw error;
}

function scopeOf({
  id,
  org,
  project,
  domain,
}: ListWaitingRequest): Omit<NameKey, 'name'> & { name: string | undefined } {
  if (id) return requireExecutionId(id);
  requirePart(project, 'project');
  requirePart(domain, 'domain');
  return { org, project, domain, name: undefined };
}

function positionOf(token: string): { since: string; id: bigint } | undefined {
  if (token === '') return undefined;
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)\/(\d{1,18})$/.exec(token);
  if (!match) throw invalidArgument(`token: "${token}" is none of ours; use the token of the previous page`);
  return { since: match[1] as string, id: BigInt(match[2] as string) };
}
