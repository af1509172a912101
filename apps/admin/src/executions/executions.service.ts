import { randomUUID } from 'node:crypto';
import type { BlobStore } from '@aloft/blob';
import type { Bus, OutgoingMessage } from '@aloft/bus';
import type { Database, Transaction } from '@aloft/database';
import { alreadyExists, failedPrecondition, invalidArgument, notFound, type ErrorDetail } from '@aloft/errors';
import { ExecutionSettings, ParentNode, type NodeRevision, type StartExecution } from '@aloft/idl/aloft/v1/bus';
import { ChildStarted } from '@aloft/idl/aloft/v1/engine';
import {
  ExecutionClosure,
  ExecutionMetadata_ExecutionMode as Mode,
  ExecutionSpec,
  type ExecutionCreateRequest,
  type ExecutionRecoverRequest,
  type ExecutionRelaunchRequest,
} from '@aloft/idl/flyteidl/admin/execution';
import { ConcurrencyLimitBehavior, type LaunchPlanSpec } from '@aloft/idl/flyteidl/admin/launch_plan';
import { ResourceType, type WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { executionInputs } from '@aloft/literals';
import type { AttributesService } from '../attributes/attributes.service.js';
import type { AdminConfig } from '../config.js';
import type { InheritedRevisions } from '../node-control/inherited-revisions.js';
import type { ProjectsService } from '../projects/projects.service.js';
import { searchableValues } from '../listing/searchable-values.js';
import type { ExecutionEngineName } from '../registry/entities.js';
import { describeKey, identifierOf, keyText, requireExecutionId, type NameKey } from '../registry/identifiers.js';
import { LoadCache } from '../registry/load-cache.js';
import { sqlTime, timestampOf } from '../time.js';
import { executionCommand } from './commands.js';
import { executionFolder, keepLiterals, literalsValue } from './execution-inputs.js';
import { randomExecutionName, requireExecutionRequest } from './execution-validation.js';
import { keptSpec, launchOnly, newClosure, referring, revisionAnnotations } from './kept-spec.js';
import type { Closures } from '../workflows/closures.js';
import type { ExecutionWriter } from './execution-writer.js';
import type { ExecutionDataRow, ExecutionsRepository, NewExecution } from './executions.repository.js';
import type { LaunchResolver, ResolvedLaunch } from './launch-resolver.js';
import { attributesOf } from './applicable-attributes.js';
import { mergeSettings } from './settings.js';

/** Who calls, and what a propeller adds to the request when it starts a child. */
export interface CreateOrigin {
  principal: string;
  /** Attempt of the parent node (0 when not said). */
  parentAttempt?: number;
  /** Of a relaunch: settings as the plan gives them now, not those of the old run. */
  currentSettings?: boolean;
}

/** A run that another's node started: immutable, so kept in memory. */
interface Parent {
  rowId: bigint;
  node: ParentNode;
  nesting: number;
  principal: string;
  clusterLabel: string;
  engine: ExecutionEngineName;
}

interface Variant {
  /** Skips what only judges requests of people: a relaunch keeps its spec as it is. */
  trusted?: boolean;
  mode?: Mode;
  /** What differs from the source, for a revision of it. */
  revisions?: NodeRevision[];
  /** Written in the same transaction; false: it was done before, and nothing is written. */
  alongside?: (tx: Transaction) => Promise<boolean>;
  source?: { uid: string; id: WorkflowExecutionIdentifier; recover: boolean; engine: ExecutionEngineName };
}

/** Names can be used again after an erase: what another replica remembers of one must not last. */
const parentTtlMs = 60_000;

/** Starting runs (A-40…A-50). */
export class ExecutionsService {
  private readonly parents: LoadCache<Omit<Parent, 'node'> & { uid: string }>;

  constructor(
    private readonly database: Database,
    private readonly executions: ExecutionsRepository,
    private readonly writer: ExecutionWriter,
    private readonly launches: LaunchResolver,
    private readonly projects: ProjectsService,
    private readonly attributes: AttributesService,
    private readonly inherited: InheritedRevisions,
    private readonly closures: Closures,
    private readonly blob: BlobStore,
    private readonly bus: Bus,
    private readonly config: AdminConfig,
  ) {
    this.parents = new LoadCache({ max: config.caches.registryEntries, ttlMs: parentTtlMs });
  }

  async create(
    request: ExecutionCreateRequest,
    origin: CreateOrigin,
    variant: Variant = {},
  ): Promise<WorkflowExecutionIdentifier> {
    const { project, domain, org } = request;
    const maxLabels = variant.trusted ? 0 : this.config.limits.labels;
    const { spec, target } = requireExecutionRequest(request, maxLabels);
    await this.projects.requireActive(org, project, domain, 'request');
    const engine = await this.projects.engine(org, project);
    requireRecoverable(engine, variant.source);
    const launch = await this.launches.resolve(target);
    const id = { org, project, domain, name: request.name || randomExecutionName() };
    const parent = await this.parentOf(spec, origin);
    const uid = randomUUID();
    // Old clients put inputs into the spec.
    const given = hasLiterals(request.inputs) ? request.inputs : (spec.inputs ?? { literals: {} });
    const merged = executionInputs(launch.plan.expectedInputs, launch.plan.spec.fixedInputs, given);
    const settings = await this.settingsOf(id, spec, launch, origin, parent);
    if (engine !== 'EXTERNAL') await this.closures.publish(launch.workflow);
    const folder = executionFolder(this.blob, this.config.storagePrefix, id, uid);
    const inputs = await keepLiterals(this.blob, merged, `${folder}/inputs`);
    const userInputs = await keepLiterals(this.blob, given ?? { literals: {} }, `${folder}/user_inputs`);
    const now = timestampOf(new Date());
    const kept = keptSpec(spec, settings, launch, { isChild: parent !== undefined, mode: variant.mode });
    const row: NewExecution = {
      uid,
      key: id,
      launchEntity: launch.task ? 'TASK' : 'LAUNCH_PLAN',
      launchPlan: launch.plan.key,
      workflow: launch.workflow.key,
      task: launch.task,
      mode: kept.metadata?.mode ?? Mode.MANUAL,
      spec: Buffer.from(ExecutionSpec.encode(kept).finish()),
      closure: Buffer.from(ExecutionClosure.encode(newClosure(kept, launch, settings.principal, now)).finish()),
      settings: Buffer.from(ExecutionSettings.encode(settings).finish()),
      inputs: inputs.bytes,
      inputsUri: inputs.uri,
      inputsSize: inputs.size,
      inputValues: searchableValues(merged),
      userInputs: userInputs.bytes,
      userInputsUri: userInputs.uri,
      createdAt: sqlTime(now),
      principal: settings.principal,
      // A foreign engine's cluster is the one that tells of the run.
      cluster: engine === 'EXTERNAL' ? '' : settings.clusterLabel,
      nesting: settings.nesting,
      parentExecutionId: parent?.rowId ?? null,
      parentNodeId: parent?.node.nodeId ?? null,
      parentAttempt: parent?.node.attempt ?? null,
      sourceExecutionUid: variant.source?.uid ?? null,
      engine,
      tags: [
        ...Object.entries(settings.labels).map(([key, value]) => [key, value] as const),
        ...spec.tags.map((tag) => [tag, ''] as const),
      ],
    };
    const start: StartExecution = {
      id,
      uid,
      mode: row.mode,
      launchPlan: identifierOf(launch.plan.key, ResourceType.LAUNCH_PLAN),
      workflow: identifierOf(launch.workflow.key, ResourceType.WORKFLOW),
      closureUri: launch.workflow.closureUri,
      closureDigest: launch.workflow.closureDigest,
      inputs: literalsValue(merged, inputs),
      settings,
      // A foreign engine looks after its children itself.
      parent: parent?.engine === 'EXTERNAL' ? undefined : parent?.node,
      recoverFrom: variant.source?.recover ? variant.source.id : undefined,
      recoverFromUid: variant.source?.recover ? variant.source.uid : '',
      createdAt: now,
      revisions: variant.revisions ?? [],
    };
    const message =
      engine === 'EXTERNAL'
        ? undefined
        : executionCommand(`start-${uid}`, id, uid, settings.principal, { $case: 'start', value: start });
    const { concurrencyPolicy } = launch.plan.spec;
    if (!(await this.write(row, message, concurrencyPolicy, variant.alongside))) await this.refuseTaken(row, parent);
    return id;
  }

  /** the old spec (or, Q-5, what it launched, as that is now) and the user's own inputs, under a new name. */
  async relaunch(request: ExecutionRelaunchRequest, origin: CreateOrigin): Promise<WorkflowExecutionIdentifier> {
    const original = await this.originalOf(request.id);
    const kept = ExecutionSpec.decode(original.spec);
    const spec = origin.currentSettings ? launchOnly(kept) : kept;
    return this.create(
      {
        ...pick(original),
        name: request.name,
        spec: { ...spec, overwriteCache: request.overwriteCache, metadata: referring(spec, original) },
        inputs: await this.userInputs(original),
      },
      origin,
      { trusted: true, mode: Mode.RELAUNCH, source: sourceOf(original, false) },
    );
  }

  /** as relaunch, and the engine copies what had finished. */
  async recover(request: ExecutionRecoverRequest, origin: CreateOrigin): Promise<WorkflowExecutionIdentifier> {
    const original = await this.originalOf(request.id);
    const spec = ExecutionSpec.decode(original.spec);
    const metadata = referring(spec, original);
    return this.create(
      {
        ...pick(original),
        name: request.name,
        spec: { ...spec, metadata: { ...metadata, parentNodeExecution: request.metadata?.parentNodeExecution } },
        inputs: await this.userInputs(original),
      },
      origin,
      {
        trusted: true,
        mode: Mode.RECOVERED,
        source: sourceOf(original, true),
        revisions: await this.inherited.of(original.id),
      },
    );
  }

  /**
   * as recover, with changes of single nodes: a revision of a run that is over. `alongside` is written in the same transaction, under
   * the lock of the old run; if it says false, that was done before, and no run is started.
   */
  async revise(
    id: NameKey,
    { name, revisions, principal }: { name: string; revisions: NodeRevision[]; principal: string },
    alongside: (tx: Transaction) => Promise<boolean>,
  ): Promise<void> {
    const original = await this.originalOf(id);
    const spec = ExecutionSpec.decode(original.spec);
    const values = { ...spec.annotations?.values, ...revisionAnnotations(original.name, spec.annotations?.values) };
    await this.create(
      {
        ...pick(original),
        name,
        spec: { ...spec, annotations: { values }, metadata: referring(spec, original) },
        inputs: await this.userInputs(original),
      },
      { principal },
      {
        trusted: true,
        mode: Mode.RECOVERED,
        source: sourceOf(original, true),
        revisions,
        alongside: async (tx) => {
          await this.executions.lock(tx, pick(original));
          return alongside(tx);
        },
      },
    );
  }

  /** After an erase: the name may be another run's soon. */
  forget(id: NameKey): void {
    this.parents.delete(keyText(id));
  }

  private async originalOf(id: WorkflowExecutionIdentifier | undefined): Promise<ExecutionDataRow> {
    const key = requireExecutionId(id);
    const row = await this.executions.findData(this.database, key);
    if (!row) throw notFound(`there is no execution ${describeKey(key)}`);
    return row;
  }

  private async userInputs(row: ExecutionDataRow): Promise<LiteralMap> {
    const bytes = row.userInputs ?? (row.userInputsUri ? await this.blob.get(row.userInputsUri) : undefined);
    return bytes ? LiteralMap.decode(bytes) : { literals: {} };
  }

  /** with a policy, counted under a lock in the transaction that inserts; without one, with everybody else. */
  private write(
    row: NewExecution,
    message: OutgoingMessage | undefined,
    policy: LaunchPlanSpec['concurrencyPolicy'],
    alongside?: Variant['alongside'],
  ): Promise<boolean> {
    const limit =
      policy?.behavior === ConcurrencyLimitBehavior.CONCURRENCY_LIMIT_BEHAVIOR_SKIP ? policy.max : undefined;
    if (limit === undefined && !alongside) return this.writer.create(row, message);
    return this.database.transaction(async (tx) => {
      if (alongside && !(await alongside(tx))) return true;
      const running = limit === undefined ? 0 : await this.executions.countRunning(tx, row.launchPlan);
      if (limit !== undefined && running >= limit)
        throw alreadyExists(
          `launch plan ${describeKey({ ...row.launchPlan, version: undefined })} has ${running} unfinished runs and allows ` +
            `${limit} at once: this one is skipped`,
        );
      const created = await this.executions.insert(tx, [row]);
      if (created.size > 0) await this.bus.publish(tx, message === undefined ? [] : [message]);
      // What was to be written alongside must not stay.
      else if (alongside) await this.refuseTaken(row, undefined);
      return created.size > 0;
    });
  }

  /**
   * The name is taken. A child's propeller is told which run has it and whose child it is: only its own node's child counts
   * as the one that it wanted.
   */
  private async refuseTaken(row: NewExecution, parent: Parent | undefined): Promise<never> {
    const existing = await this.executions.findData(this.database, row.key);
    const details: ErrorDetail[] = [];
    // For propellers only: clients of Flyte's API know no types but Flyte's.
    if (existing && parent) {
      const started = { child: row.key, childUid: existing.uid };
      details.push({ type: 'aloft.v1.ChildStarted', value: ChildStarted.encode(started).finish() });
      const existingParent = ExecutionSpec.decode(existing.spec).metadata?.parentNodeExecution;
      if (existingParent && existing.parentExecutionId !== null) {
        const node: ParentNode = {
          execution: existingParent.executionId,
          executionUid: (await this.executions.findUid(this.database, existing.parentExecutionId)) ?? '',
          nodeId: existing.parentNodeId ?? '',
          attempt: existing.parentAttempt ?? 0,
        };
        details.push({ type: 'aloft.v1.ParentNode', value: ParentNode.encode(node).finish() });
      }
    }
    const same =
      parent !== undefined &&
      existing?.parentExecutionId === parent.rowId &&
      existing.parentNodeId === parent.node.nodeId;
    const who = same ? ', started by the same node' : parent ? ', and it is not a child of that node' : '';
    throw alreadyExists(`execution ${describeKey(row.key)} exists already${who}; choose another name`, { details });
  }

  /** children inherit principal and cluster label of their parent and are one level deeper. */
  private async parentOf(spec: ExecutionSpec, origin: CreateOrigin): Promise<Parent | undefined> {
    const node = spec.metadata?.parentNodeExecution;
    if (!node) return undefined;
    const key = requireExecutionId(node.executionId, 'spec.metadata.parent_node_execution.execution_id');
    if (node.nodeId === '') throw invalidArgument('spec.metadata.parent_node_execution.node_id: missing');
    const known = await this.parents.get(keyText(key), async () => {
      const row = await this.executions.findData(this.database, key);
      if (!row) return undefined;
      const { nesting, principal, clusterLabel } = ExecutionSettings.decode(row.settings);
      return { rowId: row.id, uid: row.uid, nesting, principal, clusterLabel, engine: row.engine };
    });
    if (!known)
      throw invalidArgument(
        `spec.metadata.parent_node_execution: there is no execution ${describeKey(key)} that could be the parent`,
      );
    if (known.nesting + 1 > this.config.limits.nesting)
      throw invalidArgument(
        `spec.metadata.parent_node_execution: ${known.nesting + 1} levels of child executions; at most ` +
          `${this.config.limits.nesting} are allowed (does a workflow launch itself?)`,
      );
    const { uid, ...rest } = known;
    const attempt = origin.parentAttempt ?? 0;
    return { ...rest, node: { execution: key, executionUid: uid, nodeId: node.nodeId, attempt } };
  }

  private async settingsOf(
    id: NameKey,
    request: ExecutionSpec,
    { plan, workflow }: ResolvedLaunch,
    origin: CreateOrigin,
    parent: Parent | undefined,
  ): Promise<ExecutionSettings> {
    const { org, project, domain } = id;
    const scope = { org, project, domain, workflow: workflow.key.name, launchPlan: plan.key.name };
    return mergeSettings({
      ...(await attributesOf(this.attributes, scope)),
      name: keyText(id),
      request,
      plan: plan.spec,
      workflowQualityOfService: workflow.qualityOfService,
      projectLabels: await this.projects.labels(org, project),
      config: this.config,
      defaultRawOutputPrefix: `s3://${this.blob.bucket}/data`,
      principal: origin.principal,
      parent,
    });
  }
}

const sourceOf = (original: ExecutionDataRow, recover: boolean): Variant['source'] => ({
  uid: original.uid,
  id: pick(original),
  recover,
  engine: original.engine,
});

/** What a run has finished is known to the engine that ran it. */
function requireRecoverable(engine: ExecutionEngineName, source: Variant['source']): void {
  if (!source?.recover || engine === source.engine || engine === 'EXTERNAL') return;
  throw failedPrecondition(
    `execution ${describeKey(source.id)} was run by an external engine, and project "${source.id.project}" is run by Aloft now: ` +
      'what it finished is not known here; relaunch it instead',
  );
}

function hasLiterals(map: LiteralMap | undefined): boolean {
  return map !== undefined && Object.keys(map.literals).length > 0;
}

function pick({ org, project, domain, name }: NameKey): NameKey {
  return { org, project, domain, name };
}
