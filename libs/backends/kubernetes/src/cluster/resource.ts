import type { KubernetesObject } from '@kubernetes/client-node';

/** A type of objects of the Kubernetes API. */
export interface Resource {
  /** `v1`, `sparkoperator.k8s.io/v1beta2` */
  readonly apiVersion: string;
  readonly kind: string;
  /** As in URLs: `pods`. */
  readonly plural: string;
}

export const pods: Resource = { apiVersion: 'v1', kind: 'Pod', plural: 'pods' };

/** An object with whatever its type has besides. */
export interface ClusterObject extends KubernetesObject {
  spec?: unknown;
  status?: unknown;
}

/** Path below the server: of all namespaces, of one (a collection), or of one object in it. */
export function pathOf({ apiVersion, plural }: Resource, namespace?: string, name?: string): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const scope = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${root}${scope}/${plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;
}
