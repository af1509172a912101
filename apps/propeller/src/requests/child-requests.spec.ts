import type { StartChild } from '@aloft/engine';
import { unavailable } from '@aloft/errors';
import { ExecutionSettings, LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import type { ExecutionCreateRequest } from '@aloft/idl/flyteidl/admin/execution';
import { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import type { LiteralStore } from '../commit/literal-store.js';
import { systemTiming } from '../runs/timing.js';
import { ChildRequests, type AdminClient } from './child-requests.js';

describe('starting a child execution', () => {
  // Found by the simulation, seed 65300: three attempts of the node were gone within 10 ms.
  it('waits for storage that is away, instead of failing the node', async () => {
    const created: ExecutionCreateRequest[] = [];
    const admin = {
      createExecution: async (request: ExecutionCreateRequest) => created.push(request),
    } as unknown as AdminClient;
    let failures = 3;
    const literals = {
      load: async () => {
        if (failures-- > 0) throw unavailable('the storage is away');
        return { literals: {} };
      },
    } as unknown as LiteralStore;
    const timing = { ...systemTiming, pause: async () => undefined };
    const requests = new ChildRequests({ admin: () => admin, literals, timing });
    const ask: StartChild = {
      kind: 'start-child',
      name: 'child',
      launchPlan: Identifier.fromPartial({}),
      inputs: LiteralsValue.fromPartial({}),
      settings: ExecutionSettings.fromPartial({}),
      nodeId: 'n0',
      attempt: 1,
    };
    const parent = { org: '', project: 'p', domain: 'd', name: 'parent' };
    expect(await requests.start(ask, parent, new AbortController().signal)).toMatchObject({ $case: 'child' });
    expect(created.map(({ name }) => name)).toEqual(['child']);
  });
});
