import { failedPrecondition, invalidArgument } from '@aloft/errors';
import type { KubernetesObject } from '@kubernetes/client-node';
import { parseAllDocuments } from 'yaml';

/** Namespaced types that templates may have besides those of the core group `v1`, with their names in URLs. */
const plurals: Readonly<Record<string, string>> = {
  NetworkPolicy: 'networkpolicies',
  Ingress: 'ingresses',
  LocalQueue: 'localqueues',
};
const withoutNamespace = new Set(['Namespace', 'ClusterRole', 'ClusterRoleBinding', 'PriorityClass']);
const placeholder = /\{\{\s*([\w.-]+)\s*\}\}/g;

/** @throws FAILED_PRECONDITION for a variable without a value */
export function rendered(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(placeholder, (_, variable: string) => {
    const value = values[variable];
    if (value === undefined)
      throw failedPrecondition(
        `{{ ${variable} }} has no value here; there are ${Object.keys(values).sort().join(', ')}`,
      );
    return value;
  });
}

/** A YAML file of objects that every project and domain gets, with `{{ project }}`, `{{ domain }}`, `{{ namespace }}` and others in it. */
export class ResourceTemplate {
  constructor(
    /** For messages: its file. */
    readonly name: string,
    private readonly text: string,
  ) {
    // What is no YAML at all is found out at the start.
    this.documents(text.replace(placeholder, 'x'));
  }

  /** The objects of one project and domain, and the paths of their types. */
  objectsFor(values: Readonly<Record<string, string>>): { path: string; object: KubernetesObject }[] {
    let text: string;
    try {
      text = rendered(this.text, values);
    } catch (error) {
      throw failedPrecondition(`the template ${this.name}: ${(error as Error).message}`);
    }
    return this.documents(text).map((object) => {
      const { apiVersion = '', kind = '', metadata = {} } = object;
      const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
      const plural = plurals[kind] ?? `${kind.toLowerCase()}${/(s|x|ch|sh)$/.test(kind) ? 'es' : 's'}`;
      if (withoutNamespace.has(kind)) return { path: `${root}/${plural}`, object };
      const namespace = metadata.namespace ?? values['namespace'] ?? '';
      return {
        path: `${root}/namespaces/${namespace}/${plural}`,
        object: { ...object, metadata: { ...metadata, namespace } },
      };
    });
  }

  private documents(text: string): KubernetesObject[] {
    const objects: KubernetesObject[] = [];
    for (const document of parseAllDocuments(text)) {
      const [error] = 'errors' in document ? document.errors : [];
      if (error) throw invalidArgument(`the template ${this.name} is no YAML: ${error.message}`);
      const object = (document as { toJS(): unknown }).toJS() as KubernetesObject | null;
      if (object === null) continue;
      if (typeof object !== 'object' || !object.apiVersion || !object.kind || !object.metadata?.name)
        throw invalidArgument(`the template ${this.name}: each object needs apiVersion, kind and metadata.name`);
      objects.push(object);
    }
    return objects;
  }
}

/** What a namespace needs to be one. */
export const namespaceTemplate = new ResourceTemplate(
  'of the platform for namespaces',
  'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: "{{ namespace }}"\n',
);
