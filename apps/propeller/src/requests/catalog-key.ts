import type { LookUpCache } from '@aloft/engine';
import type { CatalogMetadata } from '@aloft/idl/flyteidl/core/catalog';
import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';
import type { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import type { Artifact, DatasetID, Metadata } from '@aloft/idl/flyteidl/datacatalog/datacatalog';
import { catalogDatasetName, catalogDatasetVersion, catalogTag } from '@aloft/literals';

type Cacheable = Pick<LookUpCache, 'template' | 'attempt'>;

/** C-90, string for string: an entry that Flyte wrote is a hit here, and the other way round. */
export function datasetOf({ template }: Cacheable): DatasetID {
  const id = template.id!;
  return {
    project: id.project,
    domain: id.domain,
    org: id.org,
    name: catalogDatasetName(id),
    version: catalogDatasetVersion(template.interface, template.metadata?.discoveryVersion ?? ''),
    UUID: '',
  };
}

export function tagOf({ template }: Cacheable, inputs: LiteralMap): string {
  return catalogTag(inputs, template.metadata?.cacheIgnoreInputVars ?? []);
}

const keys = {
  taskVersion: 'task-version',
  project: 'exec-project',
  domain: 'exec-domain',
  name: 'execution-name',
  node: 'exec-node',
  attempt: 'exec-attempt',
  org: 'exec-org',
} as const;

export function datasetMetadata({ template }: Cacheable): Metadata {
  return { keyMap: { [keys.taskVersion]: template.id!.version } };
}

/** Who made an artifact, in the words that Flyte's engine and console look for. */
export function artifactMetadata({ attempt }: Cacheable): Metadata {
  const { execution } = attempt;
  const keyMap: Record<string, string> = {
    [keys.project]: execution?.project ?? '',
    [keys.domain]: execution?.domain ?? '',
    [keys.name]: execution?.name ?? '',
    [keys.node]: attempt.nodeId,
    [keys.attempt]: String(attempt.retryAttempt),
  };
  if (execution?.org) keyMap[keys.org] = execution.org;
  return { keyMap };
}

/** What an event says of the entry that was hit or made. */
export function catalogMetadata(
  dataset: DatasetID,
  tag: { name: string; artifactId: string } | undefined,
  source: CatalogMetadata['sourceExecution'],
): CatalogMetadata {
  const datasetId: Identifier = {
    resourceType: ResourceType.DATASET,
    project: dataset.project,
    domain: dataset.domain,
    name: dataset.name,
    version: dataset.version,
    org: dataset.org,
  };
  return { datasetId, artifactTag: tag, sourceExecution: source };
}

/** The task execution that made an artifact; what an old entry does not say is "unknown", as in Flyte. */
export function sourceOf(
  { template }: Cacheable,
  dataset: Metadata | undefined,
  artifact: Artifact,
): NonNullable<CatalogMetadata['sourceExecution']> {
  const of = artifact.metadata?.keyMap ?? {};
  const id = template.id!;
  return {
    $case: 'sourceTaskExecution',
    value: {
      taskId: { ...id, version: dataset?.keyMap[keys.taskVersion] ?? 'unknown' },
      nodeExecutionId: {
        nodeId: of[keys.node] ?? 'unknown',
        executionId: {
          project: of[keys.project] ?? id.project,
          domain: of[keys.domain] ?? id.domain,
          name: of[keys.name] ?? 'unknown',
          org: of[keys.org] ?? id.org,
        },
      },
      retryAttempt: Number.parseInt(of[keys.attempt] ?? '0', 10) || 0,
    },
  };
}
