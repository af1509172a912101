import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { definitionOf, type Entity } from '../entities.js';
import { nameOf } from '../registry.js';
import type { FileTransfer } from '../types/file-transfer.js';

/** What entities are registered as, and where their code is. */
export interface SerializeContext {
  readonly project: string;
  readonly domain: string;
  readonly version: string;
  readonly org?: string;
  /** Image for tasks that name none; Kubernetes and other remote backends pull it, a local platform does not. */
  readonly image: string;
  /** File within the bundle, or package specifier, that defines the tasks. */
  readonly module: string;
  /** URI of the bundle (.tar.gz); absent when the module is installed in the image. */
  readonly distribution?: string;
  /** Environment of every task. */
  readonly env?: Readonly<Record<string, string>>;
  /** Stores files that are given as literals in workflows and launch plans. */
  readonly transfer: FileTransfer;
}

const resourceTypes = {
  task: ResourceType.TASK,
  workflow: ResourceType.WORKFLOW,
  'launch-plan': ResourceType.LAUNCH_PLAN,
} as const;

export function identifierOf(entity: Entity, context: SerializeContext): Identifier {
  const { kind, reference } = definitionOf(entity)!;
  return {
    resourceType: resourceTypes[kind],
    project: reference?.project ?? context.project,
    domain: reference?.domain ?? context.domain,
    name: nameOf(entity),
    version: reference?.version ?? context.version,
    org: context.org ?? '',
  };
}
