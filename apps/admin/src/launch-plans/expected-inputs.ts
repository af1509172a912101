import { invalidArgument } from '@aloft/errors';
import type { Parameter, ParameterMap, VariableMap } from '@aloft/idl/flyteidl/core/interface';
import type { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { requireFit } from '../registry/literal-fit.js';

/**
 * expected inputs = for each workflow input the default parameter if given; else, unless fixed, a required parameter
 * copied from the workflow. Refuses names and types that the workflow doesn't have.
 */
export function expectedInputs(
  inputs: VariableMap | undefined,
  defaults: ParameterMap | undefined,
  fixed: LiteralMap | undefined,
): ParameterMap {
  const variables = inputs?.variables ?? {};
  const parameters = defaults?.parameters ?? {};
  const literals = fixed?.literals ?? {};
  const known = Object.keys(variables);
  for (const [name, parameter] of Object.entries(parameters)) {
    const where = `spec.default_inputs[${name}]`;
    const variable = own(variables, name);
    if (!variable) throw invalidArgument(`${where}: the workflow has no such input; ${inputsAre(known)}`);
    const { behavior } = parameter;
    if (!behavior) throw invalidArgument(`${where}: must be required or have a default`);
    if (behavior.$case === 'artifactQuery' || behavior.$case === 'artifactId')
      throw invalidArgument(`${where}: artifacts are not supported as inputs; give a default or make it required`);
    if (behavior.$case === 'default') requireFit(behavior.value, variable.type, `${where}.default`);
  }
  for (const [name, literal] of Object.entries(literals)) {
    const where = `spec.fixed_inputs[${name}]`;
    const variable = own(variables, name);
    if (!variable) throw invalidArgument(`${where}: the workflow has no such input; ${inputsAre(known)}`);
    requireFit(literal, variable.type, where);
  }
  const merged: Record<string, Parameter> = {};
  for (const [name, variable] of Object.entries(variables)) {
    const parameter = own(parameters, name);
    // The variable is always the workflow's: a default sent with a looser type must not loosen it.
    if (parameter) merged[name] = { ...parameter, var: variable };
    else if (!own(literals, name)) merged[name] = { var: variable, behavior: { $case: 'required', value: true } };
  }
  return { parameters: merged };
}

function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

export function inputsAre(known: readonly string[]): string {
  return known.length === 0 ? 'it has no inputs' : `its inputs are ${[...known].sort().join(', ')}`;
}
