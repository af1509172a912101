import { failedPrecondition, toAloftError } from '@aloft/errors';
import type { V1Container, V1PodTemplate, V1PodTemplateSpec } from '@kubernetes/client-node';
import type { ClusterClient } from '../cluster/client.js';
import { merged } from './merge.js';

const resource = { apiVersion: 'v1', kind: 'PodTemplate', plural: 'podtemplates' };
/** Milliseconds for which a template is taken as it was read. */
const freshMs = 30_000;
const most = 1_000;

/** PodTemplates of clusters, each read once in a while. */
export class PodTemplates {
  private readonly known = new Map<string, { until: number; template: Promise<V1PodTemplate | undefined> }>();

  /** @throws FAILED_PRECONDITION if there is none of that name in one of these namespaces */
  async find(client: ClusterClient, name: string, namespaces: readonly string[]): Promise<V1PodTemplateSpec> {
    for (const namespace of namespaces) {
      const found = await this.read(client, namespace, name);
      if (found) return found.template ?? {};
    }
    throw failedPrecondition(
      `the cluster "${client.name}" has no PodTemplate "${name}" in ${namespaces.map((namespace) => `"${namespace}"`).join(' or ')}: create it, or name another one`,
    );
  }

  private read(client: ClusterClient, namespace: string, name: string): Promise<V1PodTemplate | undefined> {
    const key = `${client.name}/${namespace}/${name}`;
    const known = this.known.get(key);
    if (known && known.until > performance.now()) return known.template;
    const template = client.get<V1PodTemplate>(resource, namespace, name).catch((error: unknown) => {
      if (toAloftError(error).code === 'NOT_FOUND') return undefined;
      this.known.delete(key);
      throw error;
    });
    if (this.known.size >= most) this.known.clear();
    this.known.set(key, { until: performance.now() + freshMs, template });
    return template;
  }
}

/** Names of containers of a template that stand for others (C-180). */
const standIns = { every: 'default', primary: 'primary', everyInit: 'default-init', primaryInit: 'primary-init' };

/**
 * `pod` on top of a template. A template's containers `default` and `primary` are what every container, and the primary one, begin
 * with (`default-init`, `primary-init`: init containers); its others are added as they are.
 */
export function onTemplate(template: V1PodTemplateSpec, pod: V1PodTemplateSpec, primary: string): V1PodTemplateSpec {
  const { containers = [], initContainers = [], ...base } = template.spec ?? ({} as NonNullable<typeof template.spec>);
  const own = pod.spec ?? { containers: [] };
  const spec = {
    ...merged({ containers: [], ...base }, { ...own, containers: [], initContainers: undefined }),
    containers: withStandIns(containers, own.containers, primary, standIns.every, standIns.primary),
    initContainers: withStandIns(
      initContainers,
      own.initContainers ?? [],
      primary,
      standIns.everyInit,
      standIns.primaryInit,
    ),
  };
  const { name: _, ...metadata } = template.metadata ?? {};
  return { metadata: merged(metadata, pod.metadata ?? {}), spec };
}

function withStandIns(
  base: V1Container[],
  own: V1Container[],
  primary: string,
  every: string,
  forPrimary: string,
): V1Container[] {
  const named = (name: string) => base.find((container) => container.name === name);
  const others = base.filter(({ name }) => name !== every && name !== forPrimary);
  const all = [...own, ...others.filter(({ name }) => !own.some((container) => container.name === name))];
  return all.map((container) => {
    const begin = [named(every), container.name === primary ? named(forPrimary) : undefined, named(container.name)];
    const layers = [...new Set([...begin, container])].filter((layer) => layer !== undefined);
    return { ...layers.reduce((done, layer) => merged(done, layer)), name: container.name };
  });
}
