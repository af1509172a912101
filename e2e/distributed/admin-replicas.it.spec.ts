import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type AloftError } from '@aloft/errors';
import { AdminServiceClient } from '@aloft/idl/flyteidl/service/admin';
import { ExecutionCreateRequest, ExecutionTerminateRequest } from '@aloft/idl/flyteidl/admin/execution';
import { WatchExecutionRequest } from '@aloft/idl/aloft/v1/watch';
import { ResourceListRequest } from '@aloft/idl/flyteidl/admin/common';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { WorkflowExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { createClient, type RpcClient } from '@aloft/rpc/client';
import { chain, domain, identifier, integerLiteral, project } from '@aloft/bench/shapes';
import { BenchClient } from '@aloft/bench/client';
import { replicas } from './topology.js';

const names = 100;
const version = `replicas-${Date.now()}`;
const runName = (i: number): string => `same-${version}-${i}`.slice(0, 63).replaceAll(/[^a-z0-9-]/g, '');
const ended = new Set([
  WorkflowExecution_Phase.SUCCEEDED,
  WorkflowExecution_Phase.FAILED,
  WorkflowExecution_Phase.ABORTED,
]);

describe('two replicas of admin', () => {
  let admins: RpcClient<typeof AdminServiceClient.service>[];
  let watching: BenchClient;

  beforeAll(async () => {
    const addresses = replicas('admin').map(({ grpc }) => grpc!);
    expect(addresses.length).toBeGreaterThanOrEqual(2);
    admins = addresses.map((address) => createClient(AdminServiceClient, address));
    watching = new BenchClient(addresses[1]!);
    await watching.registerTask(version);
    await watching.register(chain(10, version), version);
  });
  afterAll(() => {
    for (const admin of admins ?? []) admin.close();
    watching?.close();
  });

  const launch = (admin: (typeof admins)[number], name: string) =>
    admin.createExecution(
      ExecutionCreateRequest.fromPartial({
        project,
        domain,
        name,
        spec: { launchPlan: identifier(ResourceType.LAUNCH_PLAN, 'bench.chain_10', version), metadata: {} },
        inputs: { literals: { x: integerLiteral(1n) } },
      }),
    );

  it('what one of them registered, the other launches at once', async () => {
    const { id } = await launch(admins[0]!, `cross-${Date.now().toString(36)}`);
    await watching.succeeded(id!);
  });

  it('200 concurrent launches of 100 names, with terminations of the same: one run a name, each ended once', async () => {
    const outcomes = await Promise.all(
      Array.from({ length: names * 2 }, (_, i) => {
        const name = runName(i % names);
        return launch(admins[i < names ? 0 : 1]!, name).then(
          () => ({ name, created: true }),
          (error: AloftError) => {
            expect([name, error.code]).toEqual([name, 'ALREADY_EXISTS']);
            return { name, created: false };
          },
        );
      }),
    );
    const created = outcomes.filter((outcome) => outcome.created).map(({ name }) => name);
    expect(new Set(created).size).toBe(names);
    expect(created.length).toBe(names);

    // Every second run is terminated by both replicas at once, while others still run.
    const terminations = await Promise.all(
      Array.from({ length: names }, (_, i) => {
        const id = { project, domain, name: runName(i - (i % 2)), org: '' };
        return admins[i % 2]!.terminateExecution(
          ExecutionTerminateRequest.fromPartial({ id, cause: `by ${i % 2}` }),
        ).then(
          () => 'accepted',
          (error: AloftError) => error.code,
        );
      }),
    );
    for (const outcome of terminations) expect(['accepted', 'FAILED_PRECONDITION']).toContain(outcome);

    for (let i = 0; i < names; i++) await terminal({ project, domain, name: runName(i), org: '' });
    const listed: string[] = [];
    let token = '';
    do {
      const page = await admins[0]!.listExecutions(
        ResourceListRequest.fromPartial({
          id: { project, domain },
          limit: 100,
          token,
          filters: `contains(name,same-${version})`.toLowerCase(),
        }),
      );
      listed.push(...page.executions.map(({ id }) => id!.name));
      token = page.token;
    } while (token !== '');
    expect(listed.sort()).toEqual(Array.from({ length: names }, (_, i) => runName(i)).sort());
  });

  async function terminal(id: { project: string; domain: string; name: string; org: string }): Promise<void> {
    for await (const { update } of watching.watch.watchExecution(
      WatchExecutionRequest.fromPartial({ id, executionOnly: true }),
    )) {
      const phase =
        update?.$case === 'snapshot'
          ? update.value.execution?.closure?.phase
          : update?.$case === 'event' && update.value.event?.$case === 'workflow'
            ? update.value.event.value.phase
            : undefined;
      if (phase !== undefined && ended.has(phase)) return;
    }
    throw new Error(`the watch of ${id.name} ended before the run did`);
  }
});
