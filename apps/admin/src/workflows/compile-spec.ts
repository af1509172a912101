import { compileWorkflow, type LaunchPlanInterface } from '@aloft/compiler';
import { invalidArgument } from '@aloft/errors';
import { WorkflowSpec } from '@aloft/idl/flyteidl/admin/workflow';
import { CompiledTask, CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import { QualityOfService } from '@aloft/idl/flyteidl/core/execution';
import { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { ParameterMap, TypedInterface, VariableMap } from '@aloft/idl/flyteidl/core/interface';
import { canonicalBytes, sha256 } from '../registry/canonical.js';

/** What the registry keeps of a compiled workflow. */
export interface CompiledSpec {
  /** The CompiledWorkflowClosure in its canonical form, and its SHA-256. */
  closure: Uint8Array;
  digest: Uint8Array;
  /** Encoded as well. */
  interface: Uint8Array;
  qualityOfService: Uint8Array | undefined;
}

export interface SpecToCompile {
  id: Identifier;
  spec: WorkflowSpec;
  /** All that it refers to. */
  tasks: CompiledTask[];
  launchPlans: LaunchPlanInterface[];
}

/** @throws CompileFailure with everything that is wrong */
export function compileSpec({ id, spec, tasks, launchPlans }: SpecToCompile): CompiledSpec {
  if (!spec.template) throw invalidArgument('spec.template: missing; a workflow needs its template');
  const closure = compileWorkflow({
    template: { ...spec.template, id },
    subWorkflows: spec.subWorkflows,
    tasks,
    launchPlans,
  });
  const bytes = canonicalBytes(CompiledWorkflowClosure, closure);
  const template = closure.primary?.template;
  const qualityOfService = template?.metadata?.qualityOfService;
  return {
    closure: bytes,
    digest: sha256(bytes),
    interface: canonicalBytes(TypedInterface, template?.interface ?? TypedInterface.fromPartial({})),
    qualityOfService: qualityOfService && QualityOfService.encode(qualityOfService).finish(),
  };
}

/** The same encoded: it crosses threads. */
export interface EncodedSpec {
  id: Uint8Array;
  spec: Uint8Array;
  tasks: Uint8Array[];
  launchPlans: { id: Uint8Array; inputs: Uint8Array; outputs: Uint8Array }[];
}

/** `spec`: the WorkflowSpec as it was sent. */
export function encodeSpec({ id, tasks, launchPlans }: SpecToCompile, spec: Uint8Array): EncodedSpec {
  return {
    id: Identifier.encode(id).finish(),
    spec,
    tasks: tasks.map((task) => CompiledTask.encode(task).finish()),
    launchPlans: launchPlans.map((plan) => ({
      id: Identifier.encode(plan.id).finish(),
      inputs: ParameterMap.encode(plan.expectedInputs ?? { parameters: {} }).finish(),
      outputs: VariableMap.encode(plan.expectedOutputs ?? { variables: {} }).finish(),
    })),
  };
}

export function compileEncodedSpec({ id, spec, tasks, launchPlans }: EncodedSpec): CompiledSpec {
  return compileSpec({
    id: Identifier.decode(id),
    spec: WorkflowSpec.decode(spec),
    tasks: tasks.map((task) => CompiledTask.decode(task)),
    launchPlans: launchPlans.map((plan) => ({
      id: Identifier.decode(plan.id),
      expectedInputs: ParameterMap.decode(plan.inputs),
      expectedOutputs: VariableMap.decode(plan.outputs),
    })),
  });
}
