import { createHash, randomUUID } from 'node:crypto';
import type { Bus } from '@aloft/bus';
import { interfaceInClosure, taskInClosure } from '@aloft/compiler';
import type { Database } from '@aloft/database';
import { failedPrecondition, invalidArgument, notFound } from '@aloft/errors';
import type { ControlNode, NodeRevision } from '@aloft/idl/aloft/v1/bus';
import {
  Revision_State as State,
  type CancelNodeRequest,
  type DescribeNodeRequest,
  type DescribeNodeResponse,
  type ListRevisionsRequest,
  type ListRevisionsResponse,
  type NodeControlResponse,
  type RerunNodeRequest,
  type RetryNodeRequest,
  type SetNodeOutputsRequest,
} from '@aloft/idl/aloft/v1/control';
import { NodeExecution_Phase as NodePhase, WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';
import type { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import type { AdminConfig } from '../config.js';
import { executionCommand } from '../executions/commands.js';
import { cut } from '../executions/execution-answers.js';
import { knownExecution, requireOwnEngine, type KnownExecution } from '../executions/execution-lookup.js';
import type { ExecutionRow, ExecutionsRepository } from '../executions/executions.repository.js';
import type { ExecutionsService } from '../executions/executions.service.js';
import { isTerminalExecution, nodePhaseName } from '../projection/phases.js';
import { describeKey, requireIdentifier, type NameKey } from '../registry/identifiers.js';
import type { TasksService } from '../tasks/tasks.service.js';
import type { LiveEvents } from '../watch/live-events.js';
import { DecisionListener, type Decision } from './decisions.js';
import { checkedInputs, checkedOutputs, checkedResources, checkedTask } from './node-edits.js';
import type { NodePlace, NodePlaces } from './node-places.js';
import { tooLate, toRevision, withoutTemplate } from './revision-answers.js';
import type { RevisionRow, RevisionsRepository } from './revisions.repository.js';
import type { InheritedRevisions } from './inherited-revisions.js';

const maxCauseBytes = 4096;
const maxCommandIdLength = 100;
const maxListed = 1000;
const failedPhases = new Set([NodePhase.FAILED, NodePhase.TIMED_OUT, NodePhase.ABORTED]);

type Control = NonNullable<ControlNode['control']>;
type Request = Pick<CancelNodeRequest, 'id' | 'commandId' | 'cause'> & { name?: string };

/** A checked wish, and why a run that is over can't be changed by it. */
interface Wish {
  control: Control;
  /** For a run that is over. */
  refusedWhenOver?: string;
}

interface Asked {
  execution: KnownExecution;
  place: NodePlace;
  command: ControlNode;
  wish: Wish;
  name: string;
}

/**
 * Changes of single nodes (X-6). A run that goes on gets a command and decides for itself, in the order of its log: the call waits for
 * its word. A run that is over stays what it is; another is started, which takes over all that the change doesn't concern.
 */
export class NodeControlService {
  constructor(
    private readonly database: Database,
    private readonly executions: ExecutionsRepository,
    private readonly revisions: RevisionsRepository,
    private readonly inherited: InheritedRevisions,
    private readonly places: NodePlaces,
    private readonly tasks: TasksService,
    private readonly starts: ExecutionsService,
    private readonly live: LiveEvents,
    private readonly bus: Bus,
    private readonly config: AdminConfig,
  ) {}

  cancel(request: CancelNodeRequest, principal: string, signal: AbortSignal): Promise<NodeControlResponse> {
    const { skipDownstream } = request;
    return this.control(request, principal, signal, () => ({
      control: { $case: 'cancel', value: { skipDownstream } },
      refusedWhenOver: 'nothing of it goes on that could be cancelled',
    }));
  }

  retry(request: RetryNodeRequest, principal: string, signal: AbortSignal): Promise<NodeControlResponse> {
    return this.control(request, principal, signal, ({ phase, nodeId }) => {
      const ended = phase !== undefined && failedPhases.has(phase);
      const how = phase === undefined ? 'never began' : `is ${nodePhaseName(phase)}`;
      return {
        control: { $case: 'retry', value: {} },
        refusedWhenOver: ended ? undefined : `${nodeId} ${how}, not failed; rerun it to compute it again`,
      };
    });
  }

  setOutputs(request: SetNodeOutputsRequest, principal: string, signal: AbortSignal): Promise<NodeControlResponse> {
    return this.control(request, principal, signal, (place) => {
      const outputs = checkedOutputs(place, request.outputs);
      return { control: { $case: 'setOutputs', value: { outputs } }, refusedWhenOver: notChosen(place) };
    });
  }

  rerun(request: RerunNodeRequest, principal: string, signal: AbortSignal): Promise<NodeControlResponse> {
    return this.control(request, principal, signal, async (place) => {
      const other = request.task && (await this.template(request.task));
      const inputs = checkedInputs(place, request.inputs, other);
      const task = other && checkedTask(place, other, inputs);
      const overrides = checkedResources(place, request.resources, task);
      return { control: { $case: 'rerun', value: { inputs, task, overrides } }, refusedWhenOver: notChosen(place) };
    });
  }

  async describe({ id }: DescribeNodeRequest): Promise<DescribeNodeResponse> {
    const execution = await knownExecution(this.database, this.executions, id?.executionId, 'id.execution_id');
    if (!id || id.nodeId === '') throw invalidArgument('id.node_id: missing; name the node');
    const { node, closure, specPath, phase } = await this.places.find(execution, id.nodeId);
    const declared = interfaceInClosure(node, closure);
    return {
      specPath,
      phase: phase ?? NodePhase.UNDEFINED,
      inputs: declared && { variables: declared.inputs },
      outputs: declared && { variables: declared.outputs },
      task: taskInClosure(node, closure)?.id,
    };
  }

  async listRevisions({ id, limit, token }: ListRevisionsRequest): Promise<ListRevisionsResponse> {
    const { key, row } = await knownExecution(this.database, this.executions, id, 'id');
    if (limit > maxListed) throw invalidArgument(`limit: ${limit}; at most ${maxListed} are listed at once`);
    if (!/^\d{0,9}$/.test(token)) throw invalidArgument(`token: ${JSON.stringify(token)} is none of an earlier answer`);
    const count = limit || 100;
    const rows = await this.revisions.list(this.database, row.id, Number(token), count + 1);
    const shown = rows.slice(0, count);
    return {
      revisions: shown.map((each) => toRevision(key, each, isOver(row))),
      token: rows.length > count ? String(shown[shown.length - 1]!.number) : '',
    };
  }

  private async control(
    request: Request,
    principal: string,
    signal: AbortSignal,
    wishOf: (place: NodePlace) => Wish | Promise<Wish>,
  ): Promise<NodeControlResponse> {
    const { id, commandId, cause } = request;
    if (!id || id.nodeId === '') throw invalidArgument('id.node_id: missing; name the node');
    if (commandId.length > maxCommandIdLength)
      throw invalidArgument(`command_id: ${commandId.length} characters; at most ${maxCommandIdLength} are allowed`);
    const execution = await knownExecution(this.database, this.executions, id.executionId, 'id.execution_id');
    requireOwnEngine(execution, 'change its nodes there');
    const known = commandId && (await this.revisions.find(this.database, execution.row.id, commandId));
    if (known && known.state !== State.PENDING) return answer(execution, known);
    const place = await this.places.find(execution, id.nodeId);
    const wish = await wishOf(place);
    const command: ControlNode = {
      commandId: commandId || randomUUID(),
      nodeId: place.nodeId,
      principal,
      cause: cut(cause, maxCauseBytes),
      control: wish.control,
    };
    const asked = { execution, place, command, wish, name: request.name ?? '' };
    return isOver(execution.row) ? this.startRevision(asked, principal) : this.changeInPlace(asked, principal, signal);
  }

  private async changeInPlace(asked: Asked, principal: string, signal: AbortSignal): Promise<NodeControlResponse> {
    const { execution, command, place } = asked;
    const { key } = execution;
    // Before the command is sent: its answer may be quick.
    const listener = new DecisionListener(this.live, key);
    try {
      const sent = await this.database.transaction(async (tx) => {
        const row = await this.executions.lock(tx, key);
        if (!row) throw notFound(`there is no execution ${describeKey(key)}`);
        if (isOver(row)) return undefined;
        const repeated = await this.revisions.find(tx, row.id, command.commandId);
        if (repeated) return { row, revision: repeated };
        requireChangeable(row);
        const { commandId } = command;
        const control = withoutTemplate(command);
        const at = new Date().toISOString();
        const state = State.PENDING;
        await this.revisions.save(tx, [
          { executionId: row.id, state, specPath: place.specPath, control, refused: '', startedName: null, at },
        ]);
        await this.bus.publish(tx, [
          executionCommand(`control-${row.uid}-${commandId}`, key, row.uid, principal, {
            $case: 'controlNode',
            value: command,
          }),
        ]);
        return { row, revision: (await this.revisions.find(tx, row.id, commandId))! };
      });
      // It ended meanwhile.
      if (!sent) return await this.startRevision(asked, principal);
      if (sent.revision.state !== State.PENDING) return answer(execution, sent.revision);
      const waits = AbortSignal.any([signal, AbortSignal.timeout(this.config.nodeControl.decisionMs)]);
      return told(execution, sent.revision, await listener.of(sent.row.uid, command.commandId, waits));
    } finally {
      listener.close();
    }
  }

  /** A new run that recovers from the ended one; its own first revisions are what differs. */
  private async startRevision(asked: Asked, principal: string): Promise<NodeControlResponse> {
    const { execution, place, command, wish } = asked;
    const { key } = execution;
    if (wish.refusedWhenOver !== undefined)
      throw failedPrecondition(`execution ${describeKey(key)} is over: ${wish.refusedWhenOver}`);
    const change: NodeRevision = { specPath: place.specPath, control: command, inherited: false };
    const revisions = [...(await this.inherited.of(execution.row.id)), change];
    const name = asked.name || derivedName(execution.row.uid, command.commandId);
    await this.starts.revise(key, { name, revisions, principal }, async (tx) => {
      if (await this.revisions.find(tx, execution.row.id, command.commandId)) return false;
      await this.revisions.save(tx, [
        {
          executionId: execution.row.id,
          state: State.APPLIED,
          specPath: place.specPath,
          control: withoutTemplate(command),
          refused: '',
          startedName: name,
          at: new Date().toISOString(),
        },
      ]);
      return true;
    });
    return answer(execution, (await this.revisions.find(this.database, execution.row.id, command.commandId))!);
  }

  private async template(id: Identifier): Promise<TaskTemplate> {
    const key = requireIdentifier({ ...id, resourceType: ResourceType.TASK }, ResourceType.TASK, 'task');
    const template = (await this.tasks.find(key))?.compiled.template;
    if (!template) throw notFound(`task: there is no task ${describeKey(key)}; register it first`);
    return template;
  }
}

function isOver(row: ExecutionRow): boolean {
  return isTerminalExecution(Phase[row.phase as keyof typeof Phase]);
}

function requireChangeable({ phase, quarantineReason, ...key }: ExecutionRow): void {
  if (phase === 'ABORTING') throw failedPrecondition(`execution ${describeKey(key)} is being aborted`);
  if (quarantineReason !== null)
    throw failedPrecondition(`execution ${describeKey(key)} is set aside and takes no commands: ${quarantineReason}`);
}

/** A case that its branch did not choose would not run. */
function notChosen({ inBranch, phase, nodeId }: NodePlace): string | undefined {
  if (!inBranch || (phase !== NodePhase.SKIPPED && phase !== undefined)) return undefined;
  return `${nodeId} is a case that its branch did not choose; rerun what the branch decides by`;
}

/** The same for the same command, so that a repeat finds the run that it started. */
function derivedName(uid: string, commandId: string): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([uid, commandId]))
    .digest();
  return `r${BigInt(`0x${hash.toString('hex')}`)
    .toString(36)
    .slice(0, 19)}`;
}

function answer({ key, row }: KnownExecution, revision: RevisionRow): NodeControlResponse {
  const told = toRevision(key, revision, isOver(row));
  if (told.state === State.REFUSED) throw refused(key, told.control?.nodeId ?? '', told.refused);
  return { revision: told, execution: told.execution ?? idOf(key) };
}

function told(execution: KnownExecution, revision: RevisionRow, decision: Decision): NodeControlResponse {
  const { key } = execution;
  if (decision === 'ended') return answer(execution, { ...revision, state: State.REFUSED, refused: tooLate });
  if (decision === 'unknown') return answer(execution, revision);
  const { refused: why } = decision.decided;
  if (why !== '') throw refused(key, decision.decided.control?.nodeId ?? '', why);
  return answer(execution, { ...revision, state: State.APPLIED });
}

function refused(key: NameKey, nodeId: string, why: string): Error {
  return failedPrecondition(`node ${nodeId} of execution ${describeKey(key)}: ${why}`);
}

const idOf = ({ org, project, domain, name }: NameKey) => ({ org, project, domain, name });
