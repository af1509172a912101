import type { Launch } from '@aloft/backend-kit';

/** Characters of a job's command and environment as JSON: ECS refuses more, and only after the job was queued. */
export const maxOverrides = 8_192;
/** Of these, what ECS adds of its own: names, resources. */
const reserved = 512;

export interface Overrides {
  command: string[];
  environment: { name: string; value: string }[];
}

/** A container's command as it is, and the environment: the task's own wins over what every job is given, and `last` over that. */
export function overridesOf(
  launch: Launch,
  common: Readonly<Record<string, string>>,
  last: Overrides['environment'] = [],
): Overrides {
  const container = launch.template?.target?.$case === 'container' ? launch.template.target.value : undefined;
  const env = new Map(Object.entries(common));
  for (const { key, value } of container?.env ?? []) env.set(key, value);
  for (const { key, value } of launch.env) env.set(key, value);
  for (const { name, value } of last) env.set(name, value);
  return {
    command: [...(container?.command ?? []), ...(container?.args ?? [])],
    environment: [...env].map(([name, value]) => ({ name, value })),
  };
}

/** Characters that are left for more. */
export function roomIn(overrides: Overrides): number {
  return maxOverrides - reserved - JSON.stringify(overrides).length;
}

/** What is wrong with them, where they are more than a job can have. */
export function tooLarge(overrides: Overrides): string | undefined {
  const room = roomIn(overrides);
  if (room >= 0) return undefined;
  const largest = [...overrides.environment].sort((a, b) => b.value.length - a.value.length)[0];
  return (
    `The task's command and environment have ${maxOverrides - reserved - room} characters as JSON, and AWS Batch jobs at most ${maxOverrides - reserved}` +
    `${largest ? `; the longest variable is ${largest.name} (${largest.value.length})` : ''}. Pass large values as inputs, and shorten the environment.`
  );
}
