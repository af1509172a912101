import { isAllowedRole, namesOfRoles } from '@aloft/backend-aws-batch';
import type { BackendsConfig } from './config.js';

/** What a routing rule names besides its backend. */
export interface NamedPlace {
  backend: string;
  queue?: string | undefined;
  clusterLabel?: string | undefined;
  clusterPool?: string | undefined;
  iamRole?: string | undefined;
  serviceAccount?: string | undefined;
  podTemplate?: string | undefined;
}

/** Backends of which attempts can be somebody, or run in something, that a rule names. */
const knows = {
  iamRole: { backends: ['aws-batch', 'kubernetes', 'connector'], what: 'IAM roles' },
  serviceAccount: { backends: ['kubernetes', 'connector'], what: 'service accounts' },
  podTemplate: { backends: ['kubernetes'], what: 'pods' },
} as const;

/** What of it the backend, as it is configured here, doesn't have: by its key. Backends that are modules of their own know themselves. */
export function missingPlaces(config: BackendsConfig, place: NamedPlace): { key: string; message: string }[] {
  const { backend } = place;
  if (backend in config.plugins) return [];
  const found: { key: string; message: string }[] = [];
  const check = (key: 'queue' | 'clusterLabel' | 'clusterPool', there: readonly string[] | undefined, what: string) => {
    const named = place[key];
    if (named === undefined || !there || there.includes(named)) return;
    const has = there.length > 0 ? `it has ${[...new Set(there)].join(', ')}` : 'it has none';
    found.push({ key, message: `the backend "${backend}" has no ${what} "${named}"; ${has}` });
  };
  check('queue', queuesOf(config, backend), 'queue');
  const clusters = backend === 'kubernetes' ? config.kubernetes.clusters : [];
  const labels = clusters.flatMap((cluster) => cluster.labels);
  const pools = clusters.flatMap((cluster) => cluster.pools);
  check('clusterLabel', labels, 'cluster with the label');
  check('clusterPool', pools, 'cluster of the pool');
  for (const key of ['iamRole', 'serviceAccount', 'podTemplate'] as const) {
    const { backends, what } = knows[key];
    if (place[key] !== undefined && !(backends as readonly string[]).includes(backend))
      found.push({ key, message: `the backend "${backend}" has no ${what}; ${backends.join(', ')} have` });
  }
  const { iamRole } = place;
  const { roles } = config.awsBatch;
  if (backend === 'aws-batch' && iamRole !== undefined && !isAllowedRole(iamRole, roles))
    found.push({
      key: 'iamRole',
      message: `the backend "${backend}" does not allow the role "${iamRole}"; allowed are ${namesOfRoles(roles)} (backends.awsBatch.roles)`,
    });
  return found;
}

/** Why jobs of a backend don't wait for each other by themselves (S-5); undefined where they do, or where a module knows that itself. */
export function lacksDependencies({ plugins }: BackendsConfig, backend: string): string | undefined {
  if (backend === 'aws-batch' || backend in plugins) return undefined;
  return `the backend "${backend}" has no dependencies between its jobs; aws-batch has`;
}

/** Of AWS Batch its queue rules by name or tag; of Kubernetes those that a priority class stands for. Undefined: any, where pods carry it as a label. */
function queuesOf({ awsBatch, kubernetes }: BackendsConfig, backend: string): string[] | undefined {
  if (backend === 'aws-batch') return awsBatch.queues.flatMap(({ name, tags }) => [name, ...tags]);
  if (backend === 'kubernetes' && kubernetes.pods.queueLabel !== undefined) return undefined;
  if (backend === 'kubernetes') return Object.keys(kubernetes.pods.priorityClasses.queues);
  return [];
}
