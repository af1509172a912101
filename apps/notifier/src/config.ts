import { z } from 'zod';

/** A secret by reference: the variable or the file that holds it. Configuration and tables never hold secrets. */
export const secretReference = z.union([
  z.strictObject({ env: z.string().min(1) }),
  z.strictObject({ file: z.string().min(1) }),
]);

const phase = z.enum(['SUCCEEDED', 'FAILED', 'ABORTED', 'TIMED_OUT']);

const rule = z.strictObject({
  /** Part of each delivery's identity: a renamed rule is another rule. */
  name: z.string().min(1),
  /** Left out = any. */
  project: z.string().min(1).optional(),
  domain: z.string().min(1).optional(),
  launchPlan: z.string().min(1).optional(),
  phases: z.array(phase).min(1),
  /** Names of `slack.webhooks`. */
  slack: z.array(z.string().min(1)).default([]),
  /** Addresses. */
  email: z.array(z.email()).default([]),
  /** Instead of `templates.body`. */
  template: z.string().min(1).optional(),
});

/** Settings of the notifier: every one has a default; without SMTP and webhooks it keeps quiet. */
export const notifierConfigSchema = z.object({
  /** Sender of e-mails. */
  sender: z.string().min(1).default('Aloft <aloft@localhost>'),
  smtp: z
    .object({
      host: z.string().min(1),
      port: z.number().int().min(1).max(65535).default(587),
      /** TLS from the first byte (port 465). Otherwise STARTTLS is used where the server offers it. */
      secure: z.boolean().default(false),
      user: z.string().min(1).optional(),
      password: secretReference.optional(),
    })
    .optional(),
  slack: z.object({ webhooks: z.record(z.string().min(1), secretReference).default({}) }).prefault({}),
  templates: z
    .object({
      subject: z.string().min(1).default('{{ project }}/{{ domain }}/{{ name }} {{ phase }}'),
      body: z
        .string()
        .min(1)
        .default(
          'Execution {{ name }} of workflow {{ workflow.name }} (version {{ workflow.version }}), launched by ' +
            '{{ launch_plan.name }} in {{ project }}/{{ domain }}, has {{ phase }}.{{ error }}\n{{ url }}',
        ),
      /** How e-mail bodies are written; in `html` the values are escaped. */
      format: z.enum(['text', 'html']).default('text'),
    })
    .prefault({}),
  /** Who is told of which runs besides those that a launch plan or request names. */
  rules: z
    .array(rule)
    .default([])
    .refine((rules) => new Set(rules.map(({ name }) => name)).size === rules.length, 'two rules have the same name'),
  /** Base of links to runs, e.g. `https://aloft.example.com`. */
  publicUrl: z.url().optional(),
  retries: z
    .object({
      /** Attempts at one delivery before it is given up. */
      attempts: z.number().int().positive().default(12),
      firstDelayMs: z.number().int().positive().default(1_000),
      maxDelayMs: z.number().int().positive().default(900_000),
    })
    .prefault({}),
  /** Longest time for one attempt. */
  timeoutMs: z.number().int().positive().default(20_000),
  /** Deliveries at the same time. */
  concurrency: z.number().int().positive().default(4),
  /** Ended deliveries are kept that long. */
  retentionDays: z.number().int().positive().default(30),
});

export type NotifierConfig = z.output<typeof notifierConfigSchema>;
export type SecretReference = z.output<typeof secretReference>;
export type NotificationRule = z.output<typeof rule>;
