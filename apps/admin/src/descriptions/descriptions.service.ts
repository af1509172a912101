import { notFound } from '@aloft/errors';
import {
  DescriptionEntity,
  type DescriptionEntityList,
  type DescriptionEntityListRequest,
} from '@aloft/idl/flyteidl/admin/description_entity';
import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { canonicalBytes, sha256 } from '../registry/canonical.js';
import {
  describeKey,
  identifierOf,
  requireIdentifier,
  requireName,
  requireNamedType,
  type EntityKey,
} from '../registry/identifiers.js';
import type { Registry } from '../registry/registry.js';
import type { DescriptionsRepository, DescriptionValues } from './descriptions.repository.js';

/** Documentation of versions: text, links, source. */
export class DescriptionsService {
  constructor(
    private readonly registry: Registry,
    private readonly descriptions: DescriptionsRepository,
  ) {}

  /** The row of what came with a task or workflow; undefined if nothing did. */
  rowOf(resourceType: number, key: EntityKey, entity: DescriptionEntity | undefined): DescriptionValues | undefined {
    if (!entity) return undefined;
    const bytes = canonicalBytes(DescriptionEntity, { ...entity, id: undefined });
    const { shortDescription } = entity;
    return { ...key, resourceType, digest: sha256(bytes), entity: bytes, shortDescription };
  }

  async get(id: Identifier | undefined): Promise<DescriptionEntity> {
    const resourceType = id?.resourceType ?? ResourceType.UNSPECIFIED;
    const key = requireIdentifier(id, resourceType);
    requireNamedType(resourceType, 'id.resource_type');
    const row = await this.descriptions.find(this.registry.read, resourceType, key);
    if (!row) throw notFound(`there is no description of ${describeKey(key)}`);
    return { ...DescriptionEntity.decode(row.entity), id: identifierOf(key, resourceType) };
  }

  async list(request: DescriptionEntityListRequest): Promise<DescriptionEntityList> {
    requireNamedType(request.resourceType);
    const name = requireName(request.id);
    const { rows, token } = await this.descriptions.list(this.registry.read, request.resourceType, name, request);
    const descriptionEntities = rows.map(({ version, entity }) => ({
      ...DescriptionEntity.decode(entity),
      id: identifierOf({ ...name, version }, request.resourceType),
    }));
    return { descriptionEntities, token };
  }
}
