import { WorkflowSpec } from '@aloft/idl/flyteidl/admin/workflow';
import { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { chainSpec, idOf, taskSpec } from '../testing/entities.js';
import { compileEncodedSpec, compileSpec, encodeSpec } from './compile-spec.js';

const task = { template: { ...taskSpec().template!, id: idOf(ResourceType.TASK, 't') } };
const inputOf = (spec: WorkflowSpec) => ({
  id: idOf(ResourceType.WORKFLOW, 'w'),
  spec,
  tasks: [task],
  launchPlans: [],
});

describe('compiling what was sent', () => {
  it('gives the same in another thread, where it comes encoded', () => {
    const input = inputOf(chainSpec('t', 20));
    const compiled = compileSpec(input);
    expect(compileEncodedSpec(encodeSpec(input, WorkflowSpec.encode(input.spec).finish()))).toEqual(compiled);
    expect(CompiledWorkflowClosure.decode(compiled.closure).primary?.template?.id).toMatchObject(input.id);
  });

  it('refuses there with the same words', () => {
    const input = inputOf(chainSpec('another', 2));
    const here = () => compileSpec(input);
    const there = () => compileEncodedSpec(encodeSpec(input, WorkflowSpec.encode(input.spec).finish()));
    expect(here).toThrow(/does not compile/);
    let words = '';
    try {
      here();
    } catch (error) {
      words = (error as Error).message;
    }
    expect(there).toThrow(words);
  });
});
