import { jest } from '@jest/globals';
import { WaitReason_Kind } from '@aloft/idl/aloft/v1/bus';
import { Route } from '@aloft/idl/aloft/v1/routing';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { errorOf } from '@aloft/backend-kit/testing';
import { eachInFakeWorld } from './testing/each-in-fake-world.js';
import type { FakeWorld } from './testing/fake-world.js';
import type { Kube } from './testing/kube.js';

jest.setTimeout(60_000);

// A real API server that wants service accounts to be there (its ServiceAccount admission), a scheduler, nodes that pretend.
describe('what a pod names and the cluster does not have', () => {
  let kube: Kube;
  let world: FakeWorld;

  eachInFakeWorld({ kwok: 1, accounts: true }, (...given) => ([kube, world] = given));

  const launchThat = (name: string, { waits }: { waits: boolean }) => {
    const launch = world.launch(name);
    launch.route = Route.fromPartial({ waits });
    return launch;
  };
  const create = async (path: string, object: object) => {
    const { status, body } = await kube.call('POST', path, object);
    if (status !== 201) throw new Error(JSON.stringify(body));
  };
  const account = (name: string) =>
    create(`/api/v1/namespaces/${world.namespace}/serviceaccounts`, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name },
    });

  it('a service account: the attempt fails with the reason, after a moment in which it may come', async () => {
    await world.start({ pods: { serviceAccount: 'tasks' } });
    const [late, never] = [launchThat('run1-n0-0', { waits: false }), launchThat('run1-n1-0', { waits: false })];
    never.securityContext = { runAs: { k8sServiceAccount: 'nobody' } as never, secrets: [], tokens: [] };
    await world.bus.command({ launch: late }, { launch: never });
    const waiting = await world.bus.report(late.attempt, ({ reason }) => reason.startsWith('Waiting for a place'));
    expect(Phase[waiting.phase]).toBe('WAITING_FOR_RESOURCES');
    expect(waiting.waitsFor).toBe(WaitReason_Kind.CAPACITY);
    await account('tasks');
    expect(Phase[(await world.bus.end(late.attempt)).phase]).toBe('SUCCEEDED');
    const end = await world.bus.end(never.attempt);
    expect(Phase[end.phase]).toBe('FAILED');
    expect(errorOf(end as never)).toMatchObject({
      code: 'NoPlace',
      message: expect.stringMatching(/serviceaccount "nobody" not found/),
    });
  });

  it('a service account, where its run waits: it waits and says why, until it is there', async () => {
    await world.start({ pods: { serviceAccount: 'tasks' } });
    const launch = launchThat('run1-n2-0', { waits: true });
    await world.bus.command({ launch });
    const { reason } = await world.bus.report(launch.attempt, (report) => report.reason !== '');
    expect(reason).toMatch(/^Waiting for a place: .*serviceaccount "tasks" not found/);
    await new Promise((resolve) => setTimeout(resolve, 12_000));
    expect(await world.pods()).toEqual([]);
    expect(world.bus.reportsOf(launch.attempt).at(-1)?.reason).toBe(reason);
    await account('tasks');
    expect(Phase[(await world.bus.end(launch.attempt)).phase]).toBe('SUCCEEDED');
  });

  it('and can be ended while it waits', async () => {
    await world.start({ pods: { serviceAccount: 'tasks' } });
    const launch = launchThat('run1-n3-0', { waits: true });
    await world.bus.command({ launch });
    await world.bus.report(launch.attempt, (report) => report.reason !== '');
    await world.bus.command({ abort: launch.attempt });
    expect(Phase[(await world.bus.end(launch.attempt)).phase]).toBe('ABORTED');
    expect(await world.pods()).toEqual([]);
  });

  it('a priority class, or a namespace that the platform is not to make: likewise', async () => {
    await world.start({ createNamespaces: false, pods: { priorityClasses: { default: world.name } } });
    const launch = launchThat('run1-n4-0', { waits: true });
    await world.bus.command({ launch });
    const reasons = (text: RegExp) => world.bus.report(launch.attempt, ({ reason }) => text.test(reason));
    await reasons(/namespaces "[^"]*" not found/);
    await create('/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: world.namespace },
    });
    await account('default');
    await reasons(/no PriorityClass with name/);
    await create('/apis/scheduling.k8s.io/v1/priorityclasses', {
      apiVersion: 'scheduling.k8s.io/v1',
      kind: 'PriorityClass',
      metadata: { name: world.name },
      value: 1000,
    });
    expect(Phase[(await world.bus.end(launch.attempt)).phase]).toBe('SUCCEEDED');
  });
});
