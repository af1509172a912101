import { LaunchPlanState } from '@aloft/idl/flyteidl/admin/launch_plan';
import { ResourceListRequest } from '@aloft/idl/flyteidl/admin/common';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { literalOf, typeOf } from '@aloft/literals';
import { domain, idOf, planSpec, project, register } from './testing/entities.js';
import { refused } from './testing/refused.js';
import type { Platform } from './testing/platform.js';
import { startRegistryPlatform } from './testing/registry-platform.js';

let platform: Platform;
beforeAll(async () => {
  platform = await startRegistryPlatform();
});
afterAll(() => platform?.stop());

const plan = (name: string, version?: string) => idOf(ResourceType.LAUNCH_PLAN, name, version);
const scope = { project, domain, name: '', org: '' };

describe('launch plans', () => {
  beforeAll(() => register(platform, 'lp'));

  test('A-31: requests that merge alike are identical; new plans are INACTIVE (A-32)', async () => {
    const { admin } = platform;
    const required = { x: { var: { type: typeOf.integer() }, behavior: { $case: 'required', value: true } } };
    const spec = planSpec('lp', { defaultInputs: { parameters: required } });
    await refused(admin.createLaunchPlan({ id: plan('lp'), spec }), 'ALREADY_EXISTS');
    const withDefault = {
      x: { var: { type: typeOf.integer() }, behavior: { $case: 'default', value: literalOf.integer(3n) } },
    };
    const changed = planSpec('lp', { defaultInputs: { parameters: withDefault } });
    await refused(admin.createLaunchPlan({ id: plan('lp'), spec: changed }), 'INVALID_ARGUMENT', 'What differs');
    const found = await admin.getLaunchPlan({ id: plan('lp') });
    expect(found.closure?.state).toBe(LaunchPlanState.INACTIVE);
    expect(found.closure?.expectedInputs?.parameters['x']?.behavior).toEqual({ $case: 'required', value: true });
    expect(Object.keys(found.closure?.expectedOutputs?.variables ?? {})).toEqual(['o0']);
  });

  test('K-10: an unknown workflow', async () => {
    await refused(
      platform.admin.createLaunchPlan({ id: plan('p'), spec: planSpec('nope') }),
      'NOT_FOUND',
      'spec.workflow_id',
    );
  });

  const parameter = (type: ReturnType<typeof typeOf.integer>, value?: ReturnType<typeof literalOf.integer>) => ({
    var: { type },
    behavior: value ? { $case: 'default', value } : { $case: 'required', value: true },
  });
  const labels = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`l${i}`, 'v']));
  const cron = (value: string, kickoffTimeInputArg = '') => ({
    entityMetadata: { schedule: { ScheduleExpression: { $case: 'cronExpression', value }, kickoffTimeInputArg } },
  });
  const fixed = { fixedInputs: { literals: { x: literalOf.integer(1n) } } };
  test.each([
    ['K-11: an unknown input', { defaultInputs: { parameters: { y: parameter(typeOf.integer()) } } }, "'y'"],
    [
      'K-11: a wrong-typed default',
      { defaultInputs: { parameters: { x: parameter(typeOf.integer(), literalOf.string('a') as never) } } },
      "'x'",
    ],
    ['K-11: 17 labels', { labels: { values: labels } }, '17 labels'],
    ['K-11: launch conditions', { entityMetadata: { launchConditions: { typeUrl: 'x' } } }, 'launch_conditions'],
    ['K-12: an unbound required input', cron('0 6 * * *'), '"x" is required and unbound'],
    ['K-12: cron', { ...fixed, ...cron('61 * * * *') }, '61 * * * *'],
    ['K-12: six fields', { ...fixed, ...cron('0 0 6 * * *') }, 'five fields'],
    ['K-12: kickoff argument', cron('0 6 * * *', 'x'), 'must be a datetime'],
  ])('%s', async (_what, partial, message) => {
    await refused(
      platform.admin.createLaunchPlan({ id: plan('wrong'), spec: planSpec('lp', partial) }),
      'INVALID_ARGUMENT',
      message,
    );
  });

  test('A-35: what schedules may be', async () => {
    for (const [i, text] of ['0 6 * * *', '@daily', '@every 90m', 'CRON_TZ=Europe/Berlin 0 6 * * 1-5'].entries())
      await platform.admin.createLaunchPlan({
        id: plan('cron', `v${i}`),
        spec: planSpec('lp', { ...fixed, ...cron(text) }),
      });
    const request = ResourceListRequest.fromPartial({
      id: { ...scope, name: 'cron' },
      limit: 9,
      filters: 'eq(schedule_type,CRON)',
    });
    expect((await platform.admin.listLaunchPlans(request)).launchPlans).toHaveLength(4);
  });

  test('K-13, K-14: one active version a name', async () => {
    const { admin } = platform;
    const id = { ...scope, name: 'switched' };
    for (const version of ['v1', 'v2'])
      await admin.createLaunchPlan({ id: plan('switched', version), spec: planSpec('lp') });
    await refused(admin.getActiveLaunchPlan({ id }), 'NOT_FOUND', 'UpdateLaunchPlan');
    const activate = (version: string) =>
      admin.updateLaunchPlan({ id: plan('switched', version), state: LaunchPlanState.ACTIVE });
    await activate('v1');
    await activate('v2');
    expect((await admin.getActiveLaunchPlan({ id })).id?.version).toBe('v2');
    expect((await admin.getLaunchPlan({ id: plan('switched', 'v1') })).closure?.state).toBe(LaunchPlanState.INACTIVE);
    await Promise.all(['v1', 'v2', 'v1', 'v2', 'v1'].map(activate));
    const active = await admin.listActiveLaunchPlans({
      project,
      domain,
      org: '',
      limit: 100,
      token: '',
      sortBy: undefined,
    });
    expect(active.launchPlans.filter((found) => found.id?.name === 'switched')).toHaveLength(1);
    const filters = 'eq(workflow.name,lp)+eq(state,1)';
    const list = await admin.listLaunchPlans(ResourceListRequest.fromPartial({ id: scope, limit: 10, filters }));
    expect(list.launchPlans.map((found) => found.id?.name)).toEqual(['switched']);
    const all = await admin.listLaunchPlans(ResourceListRequest.fromPartial({ id: scope, limit: 100 }));
    for (const listed of all.launchPlans) expect(listed).toEqual(await admin.getLaunchPlan({ id: listed.id }));
    expect(all.launchPlans.map(({ closure }) => closure?.state)).toEqual(expect.arrayContaining([0, 1]));
    await refused(admin.updateLaunchPlan({ id: plan('nope'), state: 1 }), 'NOT_FOUND');
  });
});
