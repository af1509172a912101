import { TaskExecution_Phase as TaskPhase, WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { WaitReason_Kind as Kind } from '@aloft/idl/aloft/v1/bus';
import { Route_By as By } from '@aloft/idl/aloft/v1/routing';
import { literalOf } from '@aloft/literals';
import { afterEach, describe, expect, it } from '@jest/globals';
import { propellerConfigSchema, type PropellerConfig } from './config.js';
import { Rig } from './testing/rig.js';
import { echoOutputs, ScriptedBackend, type Script } from './testing/scripted-backend.js';
import { chain } from './testing/workflows.js';

const rulesTo = (backend: string) => [{ name: `all-${backend}`, when: { project: 'flytesnacks' }, backend }];

// Real: Postgres, the bus, blob folder, engine. Scripted: the backend hosts.
describe('routing (U-23)', () => {
  let rig: Rig;

  afterEach(() => rig.close());

  async function open(): Promise<void> {
    rig = await Rig.open();
  }

  const configured = (backends: Record<string, unknown>): PropellerConfig =>
    propellerConfigSchema.parse({ leaseMs: 2000, backends: { known: ['local', 'east', 'west'], ...backends } });

  const started = (backends: Record<string, unknown>, hosts?: string[]) =>
    rig.started({
      deps: {
        config: configured(backends),
        ...(hosts ? { hosts: { names: () => hosts, discovered: () => ({}) } } : {}),
      },
    });

  function host(backend: string, script?: Script): ScriptedBackend {
    const made = new ScriptedBackend(rig.bus, script, `tasks.commands.${backend}`);
    rig.onClose(() => made.close());
    return made;
  }

  it('a run keeps the rules that it began with, also for what it is told to end; the next has the new ones', async () => {
    await open();
    let first = true;
    const east = host('east', (launch) => {
      const outcome = first ? { outputs: echoOutputs(launch) } : ('running' as const);
      first = false;
      return outcome;
    });
    const west = host('west');
    const before = await started({ rules: rulesTo('east') });
    const run = await rig.start(chain(3));
    await east.until(({ launches }) => launches.length === 2);
    await before.kill();
    await started({ rules: rulesTo('west') });
    const later = await rig.start(chain(1));
    expect(await rig.events.ended(later.uid)).toBe(Phase.SUCCEEDED);
    expect(west.launches).toHaveLength(1);
    await rig.send(run, { $case: 'abort', value: { cause: 'enough', principal: 'tester' } });
    expect(await rig.events.ended(run.uid)).toBe(Phase.ABORTED);
    expect(east.aborted).toEqual([`${run.name}-n1-0`]);
    expect(west.aborted).toEqual([]);
    const routes = rig.events.of(run.uid).flatMap(({ route }) => (route ? [route] : []));
    expect(routes).toMatchObject([
      { backend: 'east', by: By.RULE, rule: 'all-east', because: 'project flytesnacks' },
      { backend: 'east', rule: 'all-east' },
    ]);
  });

  it('a rule’s queue and cluster label reach the backend over what the run’s attributes say', async () => {
    await open();
    const east = host('east');
    await started({ rules: [{ backend: 'east', queue: 'fast', clusterLabel: 'gpu' }] });
    const placement = { queue: 'plain', queueTags: ['any'], clusterLabel: 'cpu', clusterPool: 'isolated' };
    const run = await rig.start(chain(1), { settings: { placement } as never });
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    const [launch] = [...east.launched.values()];
    expect(launch?.placement).toMatchObject({
      queue: 'fast',
      queueTags: ['any'],
      clusterLabel: 'gpu',
      clusterPool: 'isolated',
    });
    expect(launch?.route).toMatchObject({ backend: 'east', rule: '#1', choice: { queue: 'fast' } });
  });

  it('a backend without a host: the attempt fails with the reason', async () => {
    await open();
    await started({ rules: rulesTo('west') }, ['local', 'east']);
    const run = await rig.start(chain(1));
    expect(await rig.events.ended(run.uid)).toBe(Phase.FAILED);
    expect(rig.events.result(run.uid)).toMatchObject({
      value: {
        code: 'BackendNotFound',
        message: expect.stringContaining(
          'No host of the backend "west" is configured (there are hosts of local, east)',
        ),
      },
    });
  });

  it('… or waits, says for what, and goes on when there is one', async () => {
    await open();
    const before = await started({ rules: rulesTo('west'), unplaceable: 'wait' }, ['local']);
    const run = await rig.start(chain(1));
    const waits = () => rig.events.of(run.uid).find(({ waiting }) => waiting?.kind === Kind.CAPACITY);
    await rig.events.until(() => waits() !== undefined);
    expect(waits()).toMatchObject({
      event: { value: { phase: TaskPhase.QUEUED } },
      waiting: { backend: 'west', detail: expect.stringContaining('No host of the backend "west" is configured') },
    });
    await before.stop();
    await started({ rules: [], unplaceable: 'fail' }, ['local', 'west']);
    const west = host('west');
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect(west.launches).toHaveLength(1);
    expect(rig.events.result(run.uid)).toMatchObject({ value: { literals: { o0: literalOf.integer(1) } } });
  });
});
