import { createHash } from 'node:crypto';
import type { Launch } from '@aloft/backend-kit';
import type { SubmitJobCommandInput } from '@aws-sdk/client-batch';
import { arrayOf, itemTemplate } from '../arrays/item-template.js';
import { definitionNeed, type DefinitionNeed } from '../definitions/definition-need.js';
import type { AwsBatchOptions } from '../options.js';
import { failsWithTask, isDependable } from './dependencies.js';
import { jobName, jobTags } from './names.js';
import { NoPlace } from './no-place.js';
import { overridesOf, tooLarge, type Overrides } from './overrides.js';
import { chooseQueue } from './queue-choice.js';
import { jobResources, resourceRequirements } from './resources.js';
import { limitMsOf } from './verdict.js';

/** Everything that SubmitJob is told of an attempt. */
export interface Submission {
  launch: Launch;
  need: DefinitionNeed;
  overrides: Overrides;
  /** Without name, definition, command and environment. */
  input: Omit<SubmitJobCommandInput, 'jobName' | 'jobDefinition'>;
}

/** Shortest time limit that Batch knows, in seconds. */
const shortestLimit = 60;

/** What an attempt becomes. A string says why it can never be one of Batch's jobs, and what would be right. */
export function submissionOf(launch: Launch, options: AwsBatchOptions): Submission | NoPlace | string {
  const unable = cannotRun(launch);
  if (unable !== undefined) return unable;
  const choice = chooseQueue(launch, options.queues);
  if (choice instanceof NoPlace) return choice;
  const resources = jobResources(launch, choice.platform, options.defaults);
  if (resources instanceof NoPlace) return resources;
  const need = definitionNeed(launch, choice.platform, options);
  if (typeof need === 'string' || need instanceof NoPlace) return need;
  const overrides = overridesOf(launch, options.environment, isDependable(launch) ? [failsWithTask] : []);
  if (overrides.command.length === 0) return 'The task has no command: AWS Batch would run whatever its image does.';
  const large = tooLarge(overrides);
  if (large !== undefined) return large;
  const limitMs = limitMsOf(launch);
  const { priority, tags } = taskOptions(launch);
  const own = choice.shareIdentifier === undefined ? undefined : (priority ?? choice.priority);
  return {
    launch,
    need,
    overrides,
    input: {
      jobQueue: choice.queue,
      containerOverrides: { resourceRequirements: resourceRequirements(resources) },
      // How often an attempt is tried is the engine's to say.
      retryStrategy: { attempts: 1 },
      ...(limitMs === undefined
        ? {}
        : { timeout: { attemptDurationSeconds: Math.max(shortestLimit, Math.ceil(limitMs / 1000)) } }),
      ...(choice.shareIdentifier === undefined ? {} : { shareIdentifier: choice.shareIdentifier }),
      ...(own === undefined ? {} : { schedulingPriorityOverride: own }),
      propagateTags: true,
      tags: { ...options.tags, ...tags },
    },
  };
}

/** The request for a job of its own. */
export function singleRequest({ launch, overrides, input }: Submission, jobDefinition: string): SubmitJobCommandInput {
  return {
    ...input,
    jobName: jobName(launch.attempt),
    jobDefinition,
    containerOverrides: { ...input.containerOverrides, ...overrides },
    tags: jobTags(launch, input.tags ?? {}, false),
    ...(launch.dependsOn.length > 0 ? { dependsOn: launch.dependsOn.map((jobId) => ({ jobId })) } : {}),
  };
}

/** What all items of one array job have in common, and a key that only they have. */
export function arrayKey({ launch, overrides, input, need }: Submission): { key: string; template: Overrides } {
  const template = itemTemplate(launch, overrides);
  const same = [launch.attempt.executionUid, arrayOf(launch), need.name, input, template];
  return { key: createHash('sha256').update(JSON.stringify(same)).digest('hex'), template };
}

function cannotRun({ template }: Launch): string | undefined {
  const kind = template?.target?.$case;
  if (kind === 'k8sPod')
    return 'AWS Batch runs single containers, no pod templates: remove the template, or send the task to Kubernetes.';
  if (kind !== 'container')
    return `AWS Batch runs containers, and tasks of type "${template?.type}" have none: send them to another backend.`;
  const { value } = template?.target?.$case === 'container' ? template.target : { value: undefined };
  if (value?.dataConfig?.enabled)
    return 'AWS Batch cannot bring inputs and outputs as files of the container (data_config): send the task to Kubernetes, or read them by URI.';
  return undefined;
}

/** What `flytekitplugins-awsbatch` says of a task. */
function taskOptions({ template }: Launch): { priority?: number; tags: Record<string, string> } {
  if (template?.type !== awsBatchType) return { tags: {} };
  const { schedulingPriority, tags } = (template.custom ?? {}) as { schedulingPriority?: unknown; tags?: unknown };
  const named = typeof tags === 'object' && tags !== null ? Object.entries(tags) : [];
  return {
    ...(typeof schedulingPriority === 'number' ? { priority: schedulingPriority } : {}),
    tags: Object.fromEntries(named.map(([key, value]) => [key, String(value)])),
  };
}

/** The task type of `flytekitplugins-awsbatch`. Its command writes into the folder `0` of the output prefix. */
export const awsBatchType = 'aws-batch';

/** The launch as its outputs lie. */
export const asWritten = (launch: Launch): Launch =>
  launch.template?.type === awsBatchType
    ? { ...launch, outputPrefix: `${launch.outputPrefix.replace(/\/+$/, '')}/0` }
    : launch;
