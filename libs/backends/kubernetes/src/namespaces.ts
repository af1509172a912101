import { invalidArgument } from '@aloft/errors';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import type { Cluster } from './driver/cluster.js';
import type { Namespaces } from './driver/kubernetes-backend.js';
import type { Launch } from './kind.js';
import { type ResourceTemplate, rendered } from './resource-templates.js';

export interface NamespaceOptions {
  /** `{{ project }}-{{ domain }}` (C-165). */
  template: string;
  /** Applied in the order given to each namespace before anything is started there. */
  resources: readonly ResourceTemplate[];
  /** Variables of those besides project, domain and namespace; a project's win over a domain's. */
  domainValues: Readonly<Record<string, Readonly<Record<string, string>>>>;
  projectValues: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Milliseconds after which they are applied again. */
  applyEveryMs: number;
}

const dns1123 = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const most = 10_000;

/** Where work goes, and what a project and domain get there before any does (A-200, C-165). */
export class TemplatedNamespaces implements Namespaces {
  readonly tellProject: boolean;
  private readonly applied = new Map<string, { until: number; done: Promise<void> }>();

  constructor(private readonly options: NamespaceOptions) {
    const has = (variable: string) => new RegExp(`\\{\\{\\s*${variable}\\s*\\}\\}`).test(options.template);
    this.tellProject = has('project') && has('domain');
  }

  nameFor({ attempt, placement }: Pick<LaunchTask, 'attempt' | 'placement'>): string {
    const { project = '', domain = '' } = attempt?.execution ?? {};
    const name = rendered(this.options.template, { ...placement?.clusterResources, project, domain });
    if (!dns1123.test(name))
      throw invalidArgument(
        `"${name}" is no name of a Kubernetes namespace (lower-case letters, digits and "-", at most 63): choose another backends.kubernetes.namespaceTemplate than "${this.options.template}"`,
      );
    return name;
  }

  prepare(cluster: Cluster, launch: Launch, namespace: string): Promise<void> {
    if (this.options.resources.length === 0) return Promise.resolve();
    const values = this.valuesOf(launch, namespace);
    const key = JSON.stringify([cluster.name, namespace, values]);
    const known = this.applied.get(key);
    if (known && known.until > performance.now()) return known.done;
    const done = this.apply(cluster, values).catch((error: unknown) => {
      this.applied.delete(key);
      throw error;
    });
    if (this.applied.size >= most) this.applied.clear();
    this.applied.set(key, { until: performance.now() + this.options.applyEveryMs, done });
    return done;
  }

  private async apply(cluster: Cluster, values: Record<string, string>): Promise<void> {
    for (const template of this.options.resources)
      for (const { path, object } of template.objectsFor(values)) await cluster.client.apply(path, object);
  }

  private valuesOf({ attempt, placement }: Launch, namespace: string): Record<string, string> {
    const { project = '', domain = '' } = attempt.execution ?? {};
    const { domainValues, projectValues } = this.options;
    return {
      ...domainValues[domain],
      ...projectValues[project],
      ...placement?.clusterResources,
      project,
      domain,
      namespace,
    };
  }
}
