import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { QualityOfService_Tier as Tier } from '@aloft/idl/flyteidl/core/execution';
import type { Platform, QueueRule } from '../options.js';
import { NoPlace } from './no-place.js';

/** Where a job is submitted. */
export interface QueueChoice {
  queue: string;
  /** Name of the rule. */
  rule: string;
  spot: boolean;
  platform: Platform;
  shareIdentifier?: string;
  priority?: number;
}

/** The first rule that fits the run (A-94); interruptible attempts go to its spot queue (C-40…C-43). The queue that a routing rule names is the only one that will do. */
export function chooseQueue(launch: LaunchTask, rules: readonly QueueRule[]): QueueChoice | NoPlace {
  const { project = '', domain = '' } = launch.attempt?.execution ?? {};
  const { queue = '', queueTags = [], tier = Tier.UNDEFINED } = launch.placement ?? {};
  const named = launch.route?.choice?.queue ?? '';
  const tags = queue === '' ? queueTags : [queue, ...queueTags];
  const candidates = named === '' ? rules : rules.filter(({ name, tags: of }) => name === named || of.includes(named));
  const rule = candidates.find(
    ({ projects, domains, tags: wanted }) =>
      (projects.length === 0 || projects.includes(project)) &&
      (domains.length === 0 || domains.includes(domain)) &&
      (named !== '' || wanted.length === 0 || wanted.some((tag) => tags.includes(tag))),
  );
  if (!rule && named !== '')
    return new NoPlace(
      `The routing rule "${launch.route?.rule}" sends it to the queue "${named}", which backends.awsBatch.queues has not for project ` +
        `"${project}" and domain "${domain}"; it has ${rules.map(({ name }) => name).join(', ') || 'none'}.`,
    );
  if (!rule)
    return new NoPlace(
      `No job queue is configured for project "${project}", domain "${domain}" and queue tags ` +
        `${tags.length === 0 ? 'none' : tags.map((tag) => `"${tag}"`).join(', ')}: add one to backends.awsBatch.queues, the last of them without conditions.`,
    );
  const spot = launch.interruptible && rule.spot !== undefined;
  return {
    queue: spot ? (rule.spot as string) : rule.onDemand,
    rule: rule.name,
    spot,
    platform: rule.platform,
    ...(rule.share === undefined ? {} : { shareIdentifier: shareOf(rule.share, project, domain) }),
    ...(rule.share === undefined || !rule.priorities ? {} : { priority: rule.priorities[tierName(tier)] }),
  };
}

/** All queues that jobs may be in. */
export const allQueues = (rules: readonly QueueRule[]): string[] => [
  ...new Set(rules.flatMap(({ onDemand, spot }) => (spot === undefined ? [onDemand] : [onDemand, spot]))),
];

/** Batch takes letters and digits, up to 255. */
function shareOf(template: string, project: string, domain: string): string {
  const filled = template.replaceAll('{{project}}', project).replaceAll('{{domain}}', domain);
  return filled.replace(/[^A-Za-z0-9]/g, '').slice(0, 255) || 'none';
}

function tierName(tier: Tier): 'HIGH' | 'MEDIUM' | 'LOW' | 'UNDEFINED' {
  const name = Tier[tier];
  return name === 'HIGH' || name === 'MEDIUM' || name === 'LOW' ? name : 'UNDEFINED';
}
