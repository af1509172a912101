import type { CompiledTask } from '@aloft/idl/flyteidl/core/compiler';
import {
  Resources_ResourceName,
  type Container,
  type K8sPod,
  type Resources_ResourceEntry,
  type TaskTemplate,
} from '@aloft/idl/flyteidl/core/tasks';
import { ErrorCollector, refuse, type CompileError } from './compile-error.js';
import { formatIdentifier } from './identifier.js';
import { checkVariables } from './node-interface.js';
import { parseQuantity } from './quantity.js';

/**
 * A task as it's stored and run.
 *
 * @throws CompileFailure with everything that is wrong with it
 */
export function compileTask(template: TaskTemplate): CompiledTask {
  refuse(formatIdentifier(template.id), taskErrors(template));
  return { template };
}

/** What is wrong with a task template (K-3, K-4), each error at the field concerned. */
export function taskErrors(template: TaskTemplate): CompileError[] {
  const errors = new ErrorCollector();
  const required = (field: string, message: string) => errors.add('ValueRequired', field, message);
  if (template.id === undefined) required('id', 'the task has no id');
  if (template.type === '') required('type', 'the task has no type, e.g. python-task');
  if (template.interface === undefined) required('interface', 'the task has no interface; an empty one is fine');
  const runtime = template.metadata?.runtime;
  if (runtime !== undefined && runtime.version === '')
    required('metadata.runtime.version', 'the version of the SDK that made the task is missing');
  if (template.metadata?.discoverable && template.metadata.discoveryVersion.trim() === '')
    required('metadata.discovery_version', 'a cached task needs a cache version');
  checkVariables('interface.inputs', template.interface?.inputs, errors);
  checkVariables('interface.outputs', template.interface?.outputs, errors);
  if (template.target?.$case === 'container') checkContainer(template, template.target.value, errors);
  if (template.target?.$case === 'k8sPod') checkPod(template.target.value, errors);
  return errors.errors;
}

function checkContainer(template: TaskTemplate, container: Container, errors: ErrorCollector): void {
  if (container.image === '') errors.add('ValueRequired', 'container.image', 'the container has no image');
  const variables = [template.interface?.inputs, template.interface?.outputs];
  const hasData = variables.some((map) => Object.keys(map?.variables ?? {}).length > 0);
  if (hasData && container.command.length === 0 && container.args.length === 0)
    errors.add('ValueRequired', 'container.command', 'a container with inputs or outputs needs a command or arguments');
  const { requests = [], limits = [] } = container.resources ?? {};
  const asked = quantities('container.resources.requests', requests, errors);
  const most = quantities('container.resources.limits', limits, errors);
  for (const [name, amount] of asked) {
    const limit = most.get(name);
    if (limit === undefined) continue;
    const field = `container.resources.${label(name)}`;
    if (name === Resources_ResourceName.GPU && amount !== limit)
      errors.add('InvalidValue', field, 'the request for gpu must equal its limit');
    else if (amount > limit) errors.add('InvalidValue', field, `the request for ${label(name)} is above its limit`);
  }
}

function quantities(field: string, entries: Resources_ResourceEntry[], errors: ErrorCollector): Map<number, bigint> {
  const found = new Map<number, bigint>();
  for (const { name, value } of entries) {
    const place = `${field}.${label(name)}`;
    const amount = parseQuantity(value);
    if (amount === undefined)
      errors.add('UnrecognizedValue', place, `'${value}' is no quantity; write it as Kubernetes does: 500m, 2, 1.5Gi`);
    else if (amount < 0n) errors.add('InvalidValue', place, `'${value}' is negative`);
    else if (name === Resources_ResourceName.GPU && amount % 10n ** 9n !== 0n)
      errors.add('InvalidValue', place, `'${value}' is no whole number of gpus`);
    if (found.has(name)) errors.add('InvalidValue', place, `${label(name)} is given more than once`);
    else if (amount !== undefined) found.set(name, amount);
  }
  return found;
}

const label = (name: Resources_ResourceName): string =>
  (Resources_ResourceName[name] ?? `resource ${name}`).toLowerCase();

const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

function checkPod(pod: K8sPod, errors: ErrorCollector): void {
  if (pod.podSpec === undefined) {
    errors.add('ValueRequired', 'k8s_pod.pod_spec', 'the pod has no spec');
    return;
  }
  const containers: unknown = pod.podSpec.containers ?? [];
  if (!Array.isArray(containers)) {
    errors.add('InvalidValue', 'k8s_pod.pod_spec.containers', 'containers is no list');
    return;
  }
  for (const [index, container] of (containers as unknown[]).entries()) {
    const name = (container as { name?: unknown } | null)?.name;
    if (typeof name !== 'string' || !dnsLabel.test(name))
      errors.add(
        'InvalidValue',
        `k8s_pod.pod_spec.containers[${index}].name`,
        `'${String(name)}' is no name for a container: lower-case letters, digits and dashes, at most 63`,
      );
  }
}
