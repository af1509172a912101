import { integer, integerType, launchOf } from '@aloft/backend-kit/testing';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { LiteralType } from '@aloft/idl/flyteidl/core/types';
import { runInline } from './inline-types.js';

const literalsOf = (report: ReturnType<typeof runInline>) => {
  const result = report?.outcome?.result;
  return result?.$case === 'outputs' && result.value.value?.$case === 'inline'
    ? result.value.value.value.literals
    : undefined;
};

describe('in-host types', () => {
  it('C-192: outputs take the values of inputs in the sorted order of names', () => {
    const report = runInline(
      launchOf({
        name: 'a',
        type: 'echo',
        inputs: { z: integer(3), a: integer(1), m: integer(2) },
        outputs: { o1: integerType, o0: integerType, o2: integerType },
      }),
    );
    expect(report?.phase).toBe(Phase.SUCCEEDED);
    expect(literalsOf(report)).toMatchObject({ o0: integer(1), o1: integer(2), o2: integer(3) });
  });

  it('noop without outputs reads no inputs; other types are none of these', () => {
    expect(literalsOf(runInline(launchOf({ name: 'a', type: 'noop', inputs: { a: integer(1) } })))).toEqual({});
    expect(runInline(launchOf({ name: 'a', type: 'container' }))).toBeUndefined();
  });

  it('an item of a map takes its own element', () => {
    const list = { type: { $case: 'collectionType', value: integerType } } as LiteralType;
    const launch = launchOf({
      name: 'a',
      type: 'noop',
      index: 1,
      inputs: {
        a: { value: { $case: 'collection', value: { literals: [integer(5), integer(6)] } }, hash: '', metadata: {} },
      },
      outputs: { o0: list },
    });
    const variable = launch.template?.interface?.inputs?.variables['a'];
    if (variable) variable.type = list;
    expect(literalsOf(runInline(launch))).toMatchObject({ o0: integer(6) });
  });

  it('more outputs than inputs are refused in words', () => {
    const report = runInline(launchOf({ name: 'a', type: 'noop', outputs: { o0: integerType } }));
    expect(report?.phase).toBe(Phase.FAILED);
    expect(report?.reason).toBe(
      'A task of type noop cannot run: it declares 1 outputs and was given 0 inputs to take them from.',
    );
  });
});
