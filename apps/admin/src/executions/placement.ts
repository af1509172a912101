import { createHash } from 'node:crypto';
import { parseDuration } from '@aloft/engine';
import { invalidArgument } from '@aloft/errors';
import type { Placement } from '@aloft/idl/aloft/v1/bus';
import { QualityOfService_Tier as Tier, type QualityOfService } from '@aloft/idl/flyteidl/core/execution';
import type { Duration } from '@aloft/idl/google/protobuf/duration';
import { tierNames } from '../attributes/defaults-config.js';
import type { AdminConfig } from '../config.js';
import type { SettingSources } from './setting-sources.js';

/** Where people see the queue that was drawn for their run: flyteidl has no field for it. */
export const queueAnnotation = 'aloft.dev/queue';

/** Longest queueing budget: above it, nothing would ever be due. */
const maxBudgetSeconds = 30n * 86_400n;

/** where a run's work goes and how soon. INVALID_ARGUMENT for a pool that is not the project's. */
export function placementOf(
  sources: SettingSources,
  { clusterLabel, qualityOfService }: { clusterLabel: string; qualityOfService: QualityOfService | undefined },
): Placement {
  const variables = sources.clusterResources.map(({ attributes }) => Object.entries(attributes)).reverse();
  return {
    clusterLabel,
    clusterPool: poolOf(sources),
    queueTags: sources.queueTags[0]?.tags ?? [],
    queue: queueOf(sources),
    clusterResources: Object.fromEntries(variables.flat()),
    ...urgencyOf(qualityOfService, sources.config),
  };
}

/** Request, launch plan, workflow, attribute, then the configuration's default of project or domain; an empty one says nothing. */
export function qualityOfService(sources: SettingSources): QualityOfService | undefined {
  return [
    sources.request.qualityOfService,
    sources.plan.qualityOfService,
    sources.workflowQualityOfService,
    ...sources.qualityOfService,
  ].find(saysSomething);
}

function saysSomething(quality: QualityOfService | undefined): boolean {
  const designation = quality?.designation;
  if (designation?.$case === 'tier') return designation.value !== Tier.UNDEFINED;
  return designation?.value.queueingBudget !== undefined;
}

/** Refuses what is no tier or no budget. */
export function requireQuality(quality: QualityOfService | undefined, where: string): void {
  const designation = quality?.designation;
  if (designation?.$case === 'tier' && !(designation.value in Tier))
    throw invalidArgument(`${where}.tier: ${designation.value} is none; use one of ${tierNames.join(', ')}`);
  const budget = designation?.$case === 'spec' ? designation.value.queueingBudget : undefined;
  if (budget && (budget.seconds < 0n || budget.nanos < 0 || budget.seconds > maxBudgetSeconds))
    throw invalidArgument(
      `${where}.spec.queueing_budget: ${budget.seconds}s must be between 0 and ${maxBudgetSeconds}s (30 days)`,
    );
}

/** a run that says nothing is MEDIUM. */
function urgencyOf(
  quality: QualityOfService | undefined,
  { budgets }: AdminConfig,
): { tier: Tier; queueingBudget: Duration | undefined } {
  const designation = quality?.designation;
  if (designation?.$case === 'spec' && designation.value.queueingBudget)
    return { tier: Tier.UNDEFINED, queueingBudget: designation.value.queueingBudget };
  const tier = (designation?.$case === 'tier' && designation.value) || Tier.MEDIUM;
  const name = tierNames.find((known) => Tier[known] === tier) ?? 'MEDIUM';
  return { tier, queueingBudget: parseDuration(budgets[name]) };
}

/** the first tag that a configured queue has decides; of several such queues one, the same at every try of this run. */
function queueOf({ queueTags, config, name }: SettingSources): string {
  for (const tag of queueTags.flatMap(({ tags }) => tags)) {
    const matches = config.queues.filter((queue) => queue.tags.includes(tag));
    if (matches.length > 0) return matches[drawn(name, matches.length)]!.name;
  }
  return '';
}

function drawn(name: string, of: number): number {
  return createHash('sha256').update(name).digest().readUInt32BE(0) % of;
}

/** a pool that the project and domain are assigned to is the only one for them. */
function poolOf({ request, plan, clusterAssignments }: SettingSources): string {
  const assigned = clusterAssignments[0]?.clusterPoolName ?? '';
  const asked = request.clusterAssignment?.clusterPoolName || plan.clusterAssignment?.clusterPoolName || '';
  if (assigned !== '' && asked !== '' && asked !== assigned)
    throw invalidArgument(
      `spec.cluster_assignment.cluster_pool_name: "${asked}" is not the pool that this project and domain are assigned to; ` +
        `use "${assigned}" or leave it empty`,
    );
  return assigned || asked;
}
