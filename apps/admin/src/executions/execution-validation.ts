import { randomBytes } from 'node:crypto';
import { invalidArgument } from '@aloft/errors';
import type { ExecutionCreateRequest, ExecutionSpec } from '@aloft/idl/flyteidl/admin/execution';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { requireNotifications } from '../launch-plans/launch-plan-validation.js';
import { requireIdentifier, requirePart, type EntityKey } from '../registry/identifiers.js';
import { requireAnnotations, requireLabels } from '../registry/labels.js';
import { requireQuality } from './placement.js';

const maxNameLength = 63;
const maxTags = 64;
const namePattern = /^[a-z][a-z0-9-]*$/;

/** A-40, K-16: at most 63 characters, lower-cased a letter and then letters, digits and "-". */
export function requireExecutionName(name: string, where = 'name'): void {
  if (name.length > maxNameLength)
    throw invalidArgument(`${where}: "${name}" has ${name.length} characters; at most ${maxNameLength} are allowed`);
  if (!namePattern.test(name.toLowerCase()))
    throw invalidArgument(
      `${where}: ${JSON.stringify(name)} must start with a letter and hold only letters, digits and "-"; or leave it empty for a generated one`,
    );
}

const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';

/** `a` and 19 random letters and digits. */
export function randomExecutionName(): string {
  let name = 'a';
  // 252 is the largest multiple of 36 in a byte: above it, the first letters would come up more often.
  while (name.length < 20)
    for (const byte of randomBytes(24)) if (byte < 252 && name.length < 20) name += alphabet[byte % 36];
  return name;
}

export interface LaunchTarget {
  type: ResourceType.LAUNCH_PLAN | ResourceType.TASK;
  key: EntityKey;
}

/** What is launched (K-18: a LAUNCH_PLAN or a TASK, nothing else) and what else can be judged from the request alone. */
export function requireExecutionRequest(
  request: ExecutionCreateRequest,
  maxLabels: number,
): { spec: ExecutionSpec; target: LaunchTarget } {
  const { spec } = request;
  if (request.name !== '') requireExecutionName(request.name);
  if (!spec) throw invalidArgument('spec: missing; it must name the launch plan or task to run');
  const target = requireTarget(spec);
  requireLabels(spec.labels?.values, 'spec.labels', maxLabels);
  requireAnnotations(spec.annotations?.values, 'spec.annotations', maxLabels);
  requireTags(spec.tags);
  if (spec.notificationOverrides?.$case === 'notifications')
    requireNotifications(spec.notificationOverrides.value.notifications, 'spec.notifications.notifications');
  if (spec.maxParallelism < 0)
    throw invalidArgument(`spec.max_parallelism: ${spec.maxParallelism} must not be negative`);
  requireQuality(spec.qualityOfService, 'spec.quality_of_service');
  return { spec, target };
}

/** Tags are words of people: as long as a column. */
function requireTags(tags: readonly string[]): void {
  if (tags.length > maxTags) throw invalidArgument(`spec.tags: ${tags.length} tags; at most ${maxTags} are allowed`);
  for (const [i, tag] of tags.entries()) requirePart(tag, `spec.tags[${i}]`);
}

function requireTarget(spec: ExecutionSpec): LaunchTarget {
  const id = spec.launchPlan;
  const type = id?.resourceType;
  if (id && type !== ResourceType.LAUNCH_PLAN && type !== ResourceType.TASK && type !== ResourceType.UNSPECIFIED)
    throw invalidArgument(
      `spec.launch_plan.resource_type: ${ResourceType[id.resourceType] ?? id.resourceType} can't be launched; use LAUNCH_PLAN or TASK`,
    );
  const launched = type === ResourceType.TASK ? ResourceType.TASK : ResourceType.LAUNCH_PLAN;
  return { type: launched, key: requireIdentifier(id, launched, 'spec.launch_plan') };
}
