import {
  MatchableResource,
  type MatchingAttributes,
  PluginOverride_MissingPluginBehavior as Missing,
} from '@aloft/idl/flyteidl/admin/matchable_resource';
import { QualityOfService_Tier as Tier } from '@aloft/idl/flyteidl/core/execution';
import { UsageError } from '../failure.js';
import { secondsOf } from '../inputs/time-span.js';

type Target = Parameters<typeof MatchingAttributes.fromPartial>[0]['target'];

/** A kind of attribute, as the command line names it. */
export interface AttributeKind {
  type: MatchableResource;
  /** How its values are written. */
  form: string;
  target(values: readonly string[]): Target;
}

/** What flytectl calls files, the command line writes as words. */
export const attributeKinds: Record<string, AttributeKind> = {
  'task-resource': {
    type: MatchableResource.TASK_RESOURCE,
    form: 'default.cpu=1 default.memory=1Gi limit.cpu=4 limit.gpu=1 …',
    target(values) {
      const spec = { defaults: {} as Record<string, string>, limits: {} as Record<string, string> };
      const parts: Record<string, string> = {
        cpu: 'cpu',
        gpu: 'gpu',
        memory: 'memory',
        'ephemeral-storage': 'ephemeralStorage',
      };
      for (const [key, value] of pairs(values)) {
        const [side, part = ''] = key.split('.');
        const field = parts[part];
        if ((side !== 'default' && side !== 'limit') || field === undefined)
          throw new UsageError(
            `${key} is no resource.`,
            `Write default. or limit. and one of ${Object.keys(parts).join(', ')}.`,
          );
        spec[side === 'default' ? 'defaults' : 'limits'][field] = value;
      }
      return { $case: 'taskResourceAttributes', value: spec };
    },
  },
  'cluster-resource': {
    type: MatchableResource.CLUSTER_RESOURCE,
    form: 'variable=value …',
    target: (values) => ({
      $case: 'clusterResourceAttributes',
      value: { attributes: Object.fromEntries(pairs(values)) },
    }),
  },
  'execution-queue': {
    type: MatchableResource.EXECUTION_QUEUE,
    form: 'tag …',
    target: (values) => ({ $case: 'executionQueueAttributes', value: { tags: [...values] } }),
  },
  'cluster-label': {
    type: MatchableResource.EXECUTION_CLUSTER_LABEL,
    form: 'label',
    target: (values) => ({ $case: 'executionClusterLabel', value: { value: only(values, 'label') } }),
  },
  'quality-of-service': {
    type: MatchableResource.QUALITY_OF_SERVICE_SPECIFICATION,
    form: 'HIGH, MEDIUM, LOW, or a queueing budget such as 90s',
    target(values) {
      const text = only(values, 'tier or queueing budget');
      const tier = { HIGH: Tier.HIGH, MEDIUM: Tier.MEDIUM, LOW: Tier.LOW }[text.toUpperCase()];
      if (tier !== undefined)
        return { $case: 'qualityOfService', value: { designation: { $case: 'tier', value: tier } } };
      const queueingBudget = { seconds: secondsOf(text, 'the queueing budget') };
      return { $case: 'qualityOfService', value: { designation: { $case: 'spec', value: { queueingBudget } } } };
    },
  },
  'plugin-override': {
    type: MatchableResource.PLUGIN_OVERRIDE,
    form: 'task-type=plugin[,plugin…][,USE_DEFAULT] …',
    target: (values) => ({
      $case: 'pluginOverrides',
      value: {
        overrides: pairs(values).map(([taskType, plugins]) => {
          const words = plugins.split(',');
          const missing = words.at(-1) === 'USE_DEFAULT' || words.at(-1) === 'FAIL' ? words.pop() : 'FAIL';
          return {
            taskType,
            pluginId: words,
            missingPluginBehavior: missing === 'FAIL' ? Missing.FAIL : Missing.USE_DEFAULT,
          };
        }),
      },
    }),
  },
  'workflow-execution-config': {
    type: MatchableResource.WORKFLOW_EXECUTION_CONFIG,
    form:
      'max-parallelism=10 interruptible=true overwrite-cache=true raw-output-prefix=s3://… service-account=… role=… ' +
      'label.key=value annotation.key=value env.KEY=value …',
    target: (values) => ({ $case: 'workflowExecutionConfig', value: executionConfig(pairs(values)) }),
  },
  'cluster-assignment': {
    type: MatchableResource.CLUSTER_ASSIGNMENT,
    form: 'pool',
    target: (values) => ({ $case: 'clusterAssignment', value: { clusterPoolName: only(values, 'pool') } }),
  },
};

function executionConfig(given: readonly (readonly [string, string])[]) {
  const labels: Record<string, string> = {};
  const annotations: Record<string, string> = {};
  const envs: { key: string; value: string }[] = [];
  const runAs: { k8sServiceAccount?: string; iamRole?: string } = {};
  const config: Record<string, unknown> = {};
  for (const [key, value] of given) {
    const dot = key.indexOf('.');
    const [map, name] = dot < 0 ? [key, ''] : [key.slice(0, dot), key.slice(dot + 1)];
    if (map === 'label' && name) labels[name] = value;
    else if (map === 'annotation' && name) annotations[name] = value;
    else if (map === 'env' && name) envs.push({ key: name, value });
    else if (key === 'service-account') runAs.k8sServiceAccount = value;
    else if (key === 'role') runAs.iamRole = value;
    else if (key === 'raw-output-prefix') config['rawOutputDataConfig'] = { outputLocationPrefix: value };
    else if (key === 'max-parallelism') config['maxParallelism'] = wholeNumber(value, key);
    else if (key === 'interruptible') config['interruptible'] = yesOrNo(value, key);
    else if (key === 'overwrite-cache') config['overwriteCache'] = yesOrNo(value, key);
    else
      throw new UsageError(
        `${key} is no setting of runs.`,
        `There are: ${attributeKinds['workflow-execution-config']!.form}`,
      );
  }
  if (Object.keys(labels).length > 0) config['labels'] = { values: labels };
  if (Object.keys(annotations).length > 0) config['annotations'] = { values: annotations };
  if (envs.length > 0) config['envs'] = { values: envs };
  if (Object.keys(runAs).length > 0) config['securityContext'] = { runAs };
  return config;
}

function pairs(values: readonly string[]): [string, string][] {
  return values.map((text) => {
    const at = text.indexOf('=');
    if (at < 1) throw new UsageError(`${text} must be written name=value.`);
    return [text.slice(0, at), text.slice(at + 1)];
  });
}

function only(values: readonly string[], what: string): string {
  const [value] = values;
  if (value === undefined || values.length > 1) throw new UsageError(`Give one ${what}, not ${values.length} words.`);
  return value;
}

function wholeNumber(text: string, key: string): number {
  if (!/^\d+$/.test(text)) throw new UsageError(`${key} must be a whole number, but it is ${text}.`);
  return Number(text);
}

function yesOrNo(text: string, key: string): boolean {
  if (text !== 'true' && text !== 'false') throw new UsageError(`${key} must be true or false, but it is ${text}.`);
  return text === 'true';
}
