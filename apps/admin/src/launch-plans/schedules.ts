import { invalidArgument } from '@aloft/errors';
import { FixedRateUnit, type Schedule } from '@aloft/idl/flyteidl/admin/schedule';
import type { ParameterMap } from '@aloft/idl/flyteidl/core/interface';
import { SimpleType } from '@aloft/idl/flyteidl/core/types';
import { Cron } from 'croner';
import { parseDuration } from '../listing/values.js';

export type ScheduleType = 'NONE' | 'CRON' | 'RATE';

const descriptors = new Set(['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly']);

/** A-35, K-12: the expression is right, and every required input but a DATETIME kickoff argument is bound. */
export function requireSchedule(schedule: Schedule | undefined, expected: ParameterMap): ScheduleType {
  const expression = schedule?.ScheduleExpression;
  if (!schedule || !expression) return 'NONE';
  const where = 'spec.entity_metadata.schedule';
  const kickoff = schedule.kickoffTimeInputArg;
  if (kickoff !== '') {
    const parameter = Object.hasOwn(expected.parameters, kickoff) ? expected.parameters[kickoff] : undefined;
    const type = parameter?.var?.type?.type;
    if (!parameter)
      throw invalidArgument(`${where}.kickoff_time_input_arg: "${kickoff}" is no free input of the launch plan`);
    if (type?.$case !== 'simple' || type.value !== SimpleType.DATETIME)
      throw invalidArgument(`${where}.kickoff_time_input_arg: input "${kickoff}" must be a datetime`);
  }
  for (const [name, parameter] of Object.entries(expected.parameters))
    if (parameter.behavior?.$case === 'required' && name !== kickoff)
      throw invalidArgument(
        `${where}: input "${name}" is required and unbound; a scheduled launch plan needs a default or fixed value for it`,
      );
  switch (expression.$case) {
    case 'cronExpression':
      requireCron(expression.value, `${where}.cron_expression`);
      return 'CRON';
    case 'cronSchedule':
      requireCron(expression.value.schedule, `${where}.cron_schedule.schedule`);
      return 'CRON';
    case 'rate': {
      const { value, unit } = expression.value;
      if (value <= 0) throw invalidArgument(`${where}.rate.value: ${value} must be above 0`);
      if (FixedRateUnit[unit] === undefined || unit === FixedRateUnit.UNRECOGNIZED)
        throw invalidArgument(`${where}.rate.unit: ${unit} is unknown; use MINUTE, HOUR or DAY`);
      return 'RATE';
    }
  }
}

/** Five fields or a descriptor (`@daily`, `@every 90m`), with an optional `CRON_TZ=<zone> ` before it. */
export function requireCron(text: string, where: string): void {
  const match = /^(?:(?:CRON_)?TZ=(\S+)\s+)?(.*)$/s.exec(text.trim());
  const [, zone, expression = ''] = match ?? [];
  const refuse = (why: string) =>
    invalidArgument(
      `${where}: ${JSON.stringify(text)} ${why}; write five fields such as "0 6 * * *", or @daily, @every 1h`,
    );
  if (zone !== undefined && !isZone(zone)) throw refuse(`names the unknown time zone ${zone}`);
  if (expression.startsWith('@every ')) {
    const interval = parseDuration(expression.slice('@every '.length).trim());
    if (interval === undefined || BigInt(interval) < 1_000_000_000n)
      throw refuse('has no interval of a second or more');
    return;
  }
  if (descriptors.has(expression)) return;
  if (expression.split(/\s+/).length !== 5) throw refuse('does not have five fields');
  try {
    new Cron(expression, { paused: true }).stop();
  } catch (error) {
    throw refuse(`is no cron expression (${error instanceof Error ? error.message : String(error)})`);
  }
}

function isZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}
