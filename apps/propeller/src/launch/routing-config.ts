import { parseQuantity } from '@aloft/compiler';
import { RoutingConditions, type AmountRange, type RoutingRule } from '@aloft/idl/aloft/v1/routing';
import { z } from 'zod';
import { coveredBy } from './rule-cover.js';

const text = z.string().min(1);
/** One or several; `*` stands for any characters. */
const patterns = z.union([text.transform((one) => [one]), z.array(text).min(1)]).default([]);

/** parseQuantity counts billionths; conditions count thousandths of cores, bytes, whole gpus. */
const unit = { cpu: 10n ** 6n, memory: 10n ** 9n, gpu: 10n ** 9n } as const;

const quantity = (name: keyof typeof unit) =>
  z.union([z.number().nonnegative(), text]).transform((given, context) => {
    const billionths = parseQuantity(String(given));
    if (billionths !== undefined && billionths >= 0n) return (billionths + unit[name] - 1n) / unit[name];
    context.addIssue(`is not a quantity: a number with an optional suffix such as 500m, 1Gi or 2e3 is`);
    return z.NEVER;
  });

const range = (name: keyof typeof unit) =>
  z
    .strictObject({ atLeast: quantity(name).optional(), atMost: quantity(name).optional() })
    .superRefine(({ atLeast, atMost }, context) => {
      if (atLeast === undefined && atMost === undefined)
        context.addIssue('says neither atLeast nor atMost: give one of them, or leave it out');
      if (atLeast !== undefined && atMost !== undefined && atLeast > atMost)
        context.addIssue('can never hold: atLeast is more than atMost');
    })
    .transform((found): AmountRange => found)
    .optional();

/** What of an attempt has to be so: all that is given. */
const conditions = z.strictObject({
  taskType: patterns,
  /** Name of the task. */
  task: patterns,
  workflow: patterns,
  project: patterns,
  domain: patterns,
  /** Of the run: value by key. */
  labels: z.record(text, text).default({}),
  /** Whether the attempt goes to spot capacity. */
  interruptible: z.boolean().optional(),
  /** What the attempt asks for, after defaults, limits and retries with more memory. */
  cpu: range('cpu'),
  memory: range('memory'),
  gpu: range('gpu'),
});

/** As Kubernetes takes names of objects. */
const nameIn = (what: string) =>
  text.regex(
    /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/,
    `is no name of a ${what}: it has small letters, digits, - and . only`,
  );

const rule = z.strictObject({
  /** For people who ask why; default: its place in the list. */
  name: text.max(100).optional(),
  when: conditions.prefault({}),
  backend: text,
  /** Over what the run's attributes say; for backends that know such. */
  queue: text.optional(),
  clusterLabel: text.optional(),
  clusterPool: text.optional(),
  /** Whom the attempt is to be, over what the run says. */
  iamRole: text.optional(),
  serviceAccount: nameIn('service account').optional(),
  /** Of tasks that name none. */
  podTemplate: nameIn('pod template').optional(),
});

/** Rules of `propeller.backends.rules`: the first of which all conditions hold decides where an attempt goes (U-23). */
export const routingRules = z
  .array(rule)
  .max(200)
  .default([])
  .superRefine((rules, context) => {
    const whens = rules.map(({ when }) => conditionsOf(when));
    for (const [i, { name }] of rules.entries()) {
      const twice = name !== undefined && rules.findIndex((each) => each.name === name) < i;
      if (twice) context.addIssue({ code: 'custom', path: [i, 'name'], message: `"${name}" is there twice` });
      const before = whens.findIndex((when, j) => j < i && coveredBy(whens[i]!, when));
      if (before < 0) continue;
      const message = `can never decide: whatever it is for, rule ${nameOf(rules[before]!, before)} above it takes; put it before that one, or take it out`;
      context.addIssue({ code: 'custom', path: [i], message });
    }
  });

export type ConfiguredRule = z.output<typeof rule>;

const nameOf = ({ name }: ConfiguredRule, index: number): string => name ?? `#${index + 1}`;

function conditionsOf(when: ConfiguredRule['when']): RoutingConditions {
  return RoutingConditions.fromPartial({
    taskTypes: when.taskType,
    tasks: when.task,
    workflows: when.workflow,
    projects: when.project,
    domains: when.domain,
    labels: when.labels,
    interruptible: when.interruptible,
    cpu: when.cpu,
    memory: when.memory,
    gpu: when.gpu,
  });
}

/** As runs carry them. */
export function rulesOf(configured: readonly ConfiguredRule[]): RoutingRule[] {
  return configured.map((each, i) => ({
    name: nameOf(each, i),
    when: conditionsOf(each.when),
    then: {
      backend: each.backend,
      queue: each.queue ?? '',
      clusterLabel: each.clusterLabel ?? '',
      clusterPool: each.clusterPool ?? '',
      iamRole: each.iamRole ?? '',
      serviceAccount: each.serviceAccount ?? '',
      podTemplate: each.podTemplate ?? '',
    },
  }));
}
