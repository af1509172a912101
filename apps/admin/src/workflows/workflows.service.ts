import { alreadyExists, invalidArgument, notFound } from '@aloft/errors';
import { RegistryEvent_Change } from '@aloft/idl/aloft/v1/bus';
import type { ResourceListRequest } from '@aloft/idl/flyteidl/admin/common';
import {
  WorkflowSpec,
  type Workflow,
  type WorkflowCreateRequest,
  type WorkflowList,
} from '@aloft/idl/flyteidl/admin/workflow';
import { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import { QualityOfService } from '@aloft/idl/flyteidl/core/execution';
import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { TypedInterface } from '@aloft/idl/flyteidl/core/interface';
import type { AdminConfig } from '../config.js';
import type { DescriptionsService } from '../descriptions/descriptions.service.js';
import type { ProjectsService } from '../projects/projects.service.js';
import { describeDifference } from '../registry/diff.js';
import type { WorkflowRow } from '../registry/entities.js';
import { workflowExistsDetail } from '../registry/error-details.js';
import {
  describeKey,
  identifierOf,
  keyText,
  requireIdentifier,
  requireScope,
  type EntityKey,
} from '../registry/identifiers.js';
import { parseQuantity } from '../registry/quantities.js';
import { registryMessage } from '../registry/registry-events.js';
import { GroupRead } from '../registry/group-read.js';
import { LoadCache } from '../registry/load-cache.js';
import type { RegistrationWriter } from '../registry/registration-writer.js';
import type { Registry } from '../registry/registry.js';
import { timestampOf } from '../time.js';
import type { ClosurePlace, Closures } from './closures.js';
import type { WorkflowCompiler } from './workflow-compiler.js';
import type { WorkflowsRepository } from './workflows.repository.js';

/** What launches need of a workflow: immutable. */
export interface RegisteredWorkflow extends ClosurePlace {
  interface: TypedInterface;
  closureDigest: Buffer;
  qualityOfService: QualityOfService | undefined;
}

/** Registration and reading of workflows (A-20…A-23). */
export class WorkflowsService {
  private readonly cache: LoadCache<RegisteredWorkflow>;
  private readonly known: GroupRead<EntityKey, EntityKey>;

  constructor(
    private readonly registry: Registry,
    private readonly workflows: WorkflowsRepository,
    private readonly writer: RegistrationWriter,
    private readonly descriptions: DescriptionsService,
    private readonly projects: ProjectsService,
    private readonly compiler: WorkflowCompiler,
    private readonly closures: Closures,
    private readonly config: AdminConfig,
  ) {
    this.cache = new LoadCache({ max: config.caches.registryEntries });
    this.known = new GroupRead<EntityKey, EntityKey>(keyText, async (keys) => {
      const found = await workflows.existing(registry.sql, keys);
      return new Map(found.map((key) => [keyText(key), key]));
    });
  }

  /** `originalSpec`: the WorkflowSpec as it was sent. */
  async create({ id, spec }: WorkflowCreateRequest, originalSpec: Buffer): Promise<void> {
    const key = requireIdentifier(id, ResourceType.WORKFLOW);
    await this.projects.requireActive(key.org, key.project, key.domain);
    if (!spec?.template) throw invalidArgument('spec.template: missing; a workflow needs its template');
    const nodes = spec.template.nodes.length;
    const { workflowNodes } = this.config.limits;
    if (nodes > workflowNodes)
      throw invalidArgument(
        `spec.template.nodes: ${nodes} nodes; at most ${workflowNodes} are allowed (admin.limits.workflowNodes): ` +
          'split the workflow into sub-workflows or launch plans, or use a map',
      );
    await this.register(key, spec, originalSpec, 0);
  }

  /** A workflow that the server makes; harmless if it exists already with the same structure. */
  async ensureGenerated(key: EntityKey, spec: WorkflowSpec, nameState: number): Promise<void> {
    try {
      await this.register(key, spec, Buffer.from(WorkflowSpec.encode(spec).finish()), nameState);
    } catch (error) {
      if ((error as { code?: string }).code !== 'ALREADY_EXISTS') throw error;
    }
  }

  private async register(key: EntityKey, spec: WorkflowSpec, originalSpec: Buffer, nameState: number): Promise<void> {
    const identifier = identifierOf(key, ResourceType.WORKFLOW);
    const compiled = await this.compiler.compile(identifier, spec, originalSpec);
    this.requireSize(compiled.closure);
    const digest = Buffer.from(compiled.digest);
    // Before anything is stored: repeats cost no storage.
    if (await this.known.find(key)) await this.refuseRepeat(key, compiled.closure, digest);
    const closure = await this.closures.keep(key, compiled.closure, digest);
    const inserted = await this.writer.register({
      versions: this.workflows,
      row: {
        ...key,
        digest,
        spec: originalSpec,
        interface: Buffer.from(compiled.interface),
        qualityOfService: compiled.qualityOfService ? Buffer.from(compiled.qualityOfService) : null,
        closure: closure.inRow,
        closureUri: closure.uri,
        closureDigest: digest,
        shortDescription: spec.description?.shortDescription ?? '',
      },
      name: { ...key, resourceType: ResourceType.WORKFLOW, state: nameState },
      description: this.descriptions.rowOf(ResourceType.WORKFLOW, key, spec.description),
      message: registryMessage(identifier, RegistryEvent_Change.REGISTERED),
    });
    if (!inserted) await this.refuseRepeat(key, compiled.closure, digest);
  }

  async get(id: Identifier | undefined): Promise<Workflow> {
    const key = requireIdentifier(id, ResourceType.WORKFLOW);
    const row = await this.workflows.find(this.registry.read, key);
    if (!row) throw notFound(`there is no workflow ${describeKey(key)}`);
    return {
      id: identifierOf(key, ResourceType.WORKFLOW),
      closure: {
        compiledWorkflow: await this.closures.read({ key, closureUri: row.closureUri }),
        createdAt: timestampOf(row.createdAt),
      },
      shortDescription: row.shortDescription,
    };
  }

  find(key: EntityKey): Promise<RegisteredWorkflow | undefined> {
    return this.cache.get(keyText(key), async () => {
      const row = await this.workflows.find(this.registry.read, key);
      if (!row) return undefined;
      return {
        key,
        interface: TypedInterface.decode(row.interface),
        closureUri: row.closureUri,
        closureDigest: row.closureDigest,
        qualityOfService: row.qualityOfService ? QualityOfService.decode(row.qualityOfService) : undefined,
      };
    });
  }

  /** no closures, but the interface. */
  async list(request: ResourceListRequest): Promise<WorkflowList> {
    const { rows, token } = await this.workflows.list(
      this.registry.sql,
      requireScope(request.id),
      request,
      this.config.limits.listMs,
    );
    const workflows = rows.map((row): Workflow => {
      const { org, project, domain, name, version, interface: typed } = row as unknown as WorkflowRow;
      const template = { ...emptyTemplate(), interface: TypedInterface.decode(typed) };
      return {
        id: identifierOf({ org, project, domain, name, version }, ResourceType.WORKFLOW),
        closure: {
          compiledWorkflow: {
            primary: { template, connections: undefined },
            subWorkflows: [],
            tasks: [],
            launchPlans: [],
          },
          createdAt: timestampOf(row.created_at as Date),
        },
        shortDescription: row.short_description as string,
      };
    });
    return { workflows, token };
  }

  /** what is uploaded, and read at every launch. */
  private requireSize({ length }: Uint8Array): void {
    const { workflowSize } = this.config.limits;
    const limit = workflowSize === '' ? undefined : parseQuantity(workflowSize);
    if (limit === undefined || BigInt(length) * 1_000_000_000n <= limit) return;
    throw invalidArgument(
      `spec.template: the compiled workflow has ${length} bytes, with its tasks and sub-workflows; at most ${workflowSize} are allowed ` +
        '(admin.limits.workflowSize): split it into launch plans, or take large constants out of its bindings',
    );
  }

  /** identical is ALREADY_EXISTS, another structure INVALID_ARGUMENT with what differs; both typed. */
  private async refuseRepeat(key: EntityKey, closure: Uint8Array, digest: Buffer): Promise<never> {
    const row = await this.workflows.find(this.registry.read, key);
    const identical = !row || row.digest.equals(digest);
    const details = [workflowExistsDetail(identifierOf(key, ResourceType.WORKFLOW), identical)];
    if (identical)
      throw alreadyExists(`workflow ${describeKey(key)} with identical structure exists already`, { details });
    const sent = CompiledWorkflowClosure.decode(closure);
    const registered = await this.closures.read({ key, closureUri: row.closureUri });
    const difference = describeDifference(registered, sent);
    throw invalidArgument(
      `workflow ${describeKey(key)} with different structure exists already; register the change under a new version. ` +
        `What differs (registered → sent):\n${difference}`,
      { details },
    );
  }
}

function emptyTemplate() {
  return {
    id: undefined,
    metadata: undefined,
    interface: undefined,
    nodes: [],
    outputs: [],
    failureNode: undefined,
    metadataDefaults: undefined,
  };
}
