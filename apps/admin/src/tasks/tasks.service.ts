import { alreadyExists, invalidArgument, notFound } from '@aloft/errors';
import { RegistryEvent_Change } from '@aloft/idl/aloft/v1/bus';
import type { ResourceListRequest } from '@aloft/idl/flyteidl/admin/common';
import type { Task, TaskCreateRequest, TaskList } from '@aloft/idl/flyteidl/admin/task';
import { CompiledTask } from '@aloft/idl/flyteidl/core/compiler';
import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { TypedInterface } from '@aloft/idl/flyteidl/core/interface';
import { compileTask } from '@aloft/compiler';
import type { Encoded } from '@aloft/rpc';
import { mergeQuantities } from '../attributes/task-resources.js';
import type { AttributesService } from '../attributes/attributes.service.js';
import type { AdminConfig } from '../config.js';
import type { DescriptionsService } from '../descriptions/descriptions.service.js';
import type { ProjectsService } from '../projects/projects.service.js';
import { canonicalBytes, sha256 } from '../registry/canonical.js';
import { describeDifference } from '../registry/diff.js';
import {
  describeKey,
  identifierOf,
  keyText,
  requireIdentifier,
  requireScope,
  type EntityKey,
} from '../registry/identifiers.js';
import { registryMessage } from '../registry/registry-events.js';
import { LoadCache } from '../registry/load-cache.js';
import type { RegistrationWriter } from '../registry/registration-writer.js';
import type { Registry } from '../registry/registry.js';
import { timestampOf } from '../time.js';
import { encodeTaskList } from './encode-tasks.js';
import { ListedTasks } from './listed-tasks.js';
import { requireTask } from './task-validation.js';
import type { TasksRepository } from './tasks.repository.js';

/** What launches need of a task: immutable. */
export interface RegisteredTask {
  compiled: CompiledTask;
  createdAt: Date;
  shortDescription: string;
}

/** Registration and reading of tasks (A-10…A-12). */
export class TasksService {
  private readonly cache: LoadCache<RegisteredTask>;
  private readonly listed: ListedTasks;

  constructor(
    private readonly registry: Registry,
    private readonly tasks: TasksRepository,
    private readonly writer: RegistrationWriter,
    private readonly descriptions: DescriptionsService,
    private readonly projects: ProjectsService,
    private readonly attributes: AttributesService,
    private readonly config: AdminConfig,
  ) {
    this.cache = new LoadCache({ max: config.caches.registryEntries });
    this.listed = new ListedTasks(tasks, config.caches.listBytes);
  }

  /** `originalSpec`: the TaskSpec as it was sent. */
  async create({ id, spec }: TaskCreateRequest, originalSpec: Buffer): Promise<void> {
    const key = requireIdentifier(id, ResourceType.TASK);
    await this.projects.requireActive(key.org, key.project, key.domain);
    const template = requireTask(spec, {
      allowedTypes: this.config.allowedTaskTypes,
      limits: await this.limits(key),
    });
    const identifier = identifierOf(key, ResourceType.TASK);
    const compiled = compileTask({ ...template, id: identifier });
    const bytes = canonicalBytes(CompiledTask, compiled);
    const digest = sha256(bytes);
    const inserted = await this.writer.register({
      versions: this.tasks,
      row: {
        ...key,
        digest,
        type: template.type,
        spec: originalSpec,
        compiled: bytes,
        interface: canonicalBytes(TypedInterface, template.interface ?? TypedInterface.fromPartial({})),
        shortDescription: spec?.description?.shortDescription ?? '',
      },
      name: { ...key, resourceType: ResourceType.TASK, state: 0 },
      description: this.descriptions.rowOf(ResourceType.TASK, key, spec?.description),
      message: registryMessage(identifier, RegistryEvent_Change.REGISTERED),
    });
    if (!inserted) await this.refuseRepeat(key, compiled, digest);
  }

  async get(id: Identifier | undefined): Promise<Task> {
    const key = requireIdentifier(id, ResourceType.TASK);
    const task = await this.find(key);
    if (!task) throw notFound(`there is no task ${describeKey(key)}`);
    return {
      id: identifierOf(key, ResourceType.TASK),
      closure: { compiledTask: task.compiled, createdAt: timestampOf(task.createdAt) },
      shortDescription: task.shortDescription,
    };
  }

  find(key: EntityKey): Promise<RegisteredTask | undefined> {
    return this.cache.get(keyText(key), async () => {
      const row = await this.tasks.find(this.registry.read, key);
      if (!row) return undefined;
      const { createdAt, shortDescription } = row;
      return { compiled: CompiledTask.decode(row.compiled), createdAt, shortDescription };
    });
  }

  async list(request: ResourceListRequest): Promise<Encoded<TaskList>> {
    const scope = requireScope(request.id);
    const { sql } = this.registry;
    const { rows, token } = await this.tasks.list(sql, scope, request, this.config.limits.listMs);
    const keys = rows.map(({ name, version }) => ({ ...scope, name: name as string, version: version as string }));
    return encodeTaskList(await this.listed.entries(sql, keys), token);
  }

  private async limits(key: EntityKey) {
    const { org, project, domain, name } = key;
    const levels = await this.attributes.levels('taskResourceAttributes', {
      org,
      project,
      domain,
      workflow: name,
      launchPlan: '',
    });
    return mergeQuantities(...levels.map(({ limits }) => limits), this.config.taskResources.limits);
  }

  /** the same again is ALREADY_EXISTS, another is INVALID_ARGUMENT with what differs. */
  private async refuseRepeat(key: EntityKey, compiled: CompiledTask, digest: Buffer): Promise<never> {
    const row = await this.tasks.find(this.registry.read, key);
    if (!row || row.digest.equals(digest))
      throw alreadyExists(`task ${describeKey(key)} with identical structure exists already`);
    throw invalidArgument(
      `task ${describeKey(key)} with different structure exists already; register the change under a new version. ` +
        `What differs (registered → sent):\n${describeDifference(CompiledTask.decode(row.compiled), compiled)}`,
    );
  }
}
