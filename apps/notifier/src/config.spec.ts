import { loadConfig } from '@aloft/config';
import { z } from 'zod';
import { notifierConfigSchema } from './config.js';

const load = (env: Record<string, string>) =>
  loadConfig({ schema: z.object({ notifier: notifierConfigSchema.prefault({}) }), env });

test('all settings have defaults; rules and webhooks come from variables too', () => {
  expect(load({}).notifier).toMatchObject({ rules: [], slack: { webhooks: {} }, retries: { attempts: 12 } });
  const { notifier } = load({
    ALOFT_NOTIFIER_SMTP_HOST: 'mail',
    ALOFT_NOTIFIER_SLACK_WEBHOOKS: '{"#ml": {env: SLACK_ML}}',
    ALOFT_NOTIFIER_RULES: '[{name: r, phases: [FAILED], slack: ["#ml"]}]',
  });
  expect(notifier).toMatchObject({
    smtp: { host: 'mail', port: 587 },
    slack: { webhooks: { '#ml': { env: 'SLACK_ML' } } },
    rules: [{ name: 'r', phases: ['FAILED'], slack: ['#ml'], email: [] }],
  });
});

test('a phase that is no end, a webhook given as plain URL, two rules of one name: refused', () => {
  const rule = (more: string) => load({ ALOFT_NOTIFIER_RULES: `[{name: r, phases: [FAILED]}, ${more}]` });
  expect(() => rule('{name: s, phases: [RUNNING]}')).toThrow(/phases/);
  expect(() => rule('{name: r, phases: [FAILED]}')).toThrow(/same name/);
  expect(() => load({ ALOFT_NOTIFIER_SLACK_WEBHOOKS: '{"#ml": "https://hooks.slack.com/x"}' })).toThrow(
    /WEBHOOKS|webhooks/,
  );
});
