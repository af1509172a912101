import { invalidArgument, notFound } from '@aloft/errors';
import {
  NamedEntityState,
  type NamedEntity,
  type NamedEntityGetRequest,
  type NamedEntityIdentifierList,
  type NamedEntityIdentifierListRequest,
  type NamedEntityList,
  type NamedEntityListRequest,
  type NamedEntityUpdateRequest,
} from '@aloft/idl/flyteidl/admin/common';
import type { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import {
  describeKey,
  requireName,
  requireNamedType,
  requireScope,
  requireText,
  resourceTypeName,
} from '../registry/identifiers.js';
import type { Registry } from '../registry/registry.js';
import type { AdminConfig } from '../config.js';
import type { NamedEntitiesRepository } from './named-entities.repository.js';

const maxDescriptionLength = 300;

/** Names with their description and state, over all versions. */
export class NamedEntitiesService {
  constructor(
    private readonly registry: Registry,
    private readonly names: NamedEntitiesRepository,
    private readonly config: AdminConfig,
  ) {}

  async get(request: NamedEntityGetRequest): Promise<NamedEntity> {
    requireNamedType(request.resourceType);
    const key = requireName(request.id);
    const row = await this.names.find(this.registry.read, request.resourceType, key);
    if (!row) throw notFound(`there is no ${resourceTypeName(request.resourceType)} named ${describeKey(key)}`);
    return {
      resourceType: request.resourceType,
      id: key,
      metadata: { description: row.description, state: row.state },
    };
  }

  async update(request: NamedEntityUpdateRequest): Promise<void> {
    requireNamedType(request.resourceType);
    const key = requireName(request.id);
    const { metadata } = request;
    if (!metadata) throw invalidArgument('metadata: missing; it must hold the description and the state');
    requireText(metadata.description, 'metadata.description', maxDescriptionLength);
    if (NamedEntityState[metadata.state] === undefined)
      throw invalidArgument(
        `metadata.state: ${metadata.state} is unknown; use NAMED_ENTITY_ACTIVE or NAMED_ENTITY_ARCHIVED`,
      );
    const { description, state } = metadata;
    if (!(await this.names.update(this.registry.read, request.resourceType, key, { description, state })))
      throw notFound(`there is no ${resourceTypeName(request.resourceType)} named ${describeKey(key)}`);
  }

  async list(request: NamedEntityListRequest): Promise<NamedEntityList> {
    requireNamedType(request.resourceType);
    const scope = requireScope({ ...request, name: '' }, 'request');
    const { rows, token } = await this.names.list(this.registry.sql, request.resourceType, scope, request, {
      hideGenerated: true,
      limitMs: this.config.limits.listMs,
    });
    const entities = rows.map(({ description, state, ...id }) => ({
      resourceType: request.resourceType,
      id,
      metadata: { description, state },
    }));
    return { entities, token };
  }

  /** ListTaskIds, ListWorkflowIds, ListLaunchPlanIds. */
  async listIds(
    resourceType: ResourceType,
    request: NamedEntityIdentifierListRequest,
  ): Promise<NamedEntityIdentifierList> {
    const scope = requireScope({ ...request, name: '' }, 'request');
    const { rows, token } = await this.names.list(this.registry.sql, resourceType, scope, request, {
      hideGenerated: true,
      limitMs: this.config.limits.listMs,
    });
    return { entities: rows.map(({ org, project, domain, name }) => ({ org, project, domain, name })), token };
  }
}
