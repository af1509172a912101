import { invalidArgument } from '@aloft/errors';
import type { Parameter, ParameterMap, VariableMap } from '@aloft/idl/flyteidl/core/interface';
import type { Literal, LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { explainMismatch } from './casting.js';
import { formatType } from './type-format.js';
import { checkLiteral } from './matching.js';

/** What a launch plan has bound of its workflow's inputs. */
export interface PlanInputs {
  defaults: ParameterMap | undefined;
  fixed: LiteralMap | undefined;
}

/**
 * The inputs that a launch plan still takes: its defaults, and the workflow's inputs that are neither defaulted nor fixed,
 * as required ones (K-11).
 *
 * @throws AloftError INVALID_ARGUMENT for an input that the workflow doesn't have, or a value of the wrong type
 */
export function expectedInputsOf(workflow: VariableMap | undefined, plan: PlanInputs): ParameterMap {
  const variables = workflow?.variables ?? {};
  const defaults = plan.defaults?.parameters ?? {};
  const fixed = plan.fixed?.literals ?? {};
  for (const [name, parameter] of Object.entries(defaults)) {
    const variable = known(`default input '${name}'`, name, variables);
    const problem = explainMismatch(parameter.var?.type, variable.type);
    if (problem !== undefined)
      throw invalidArgument(
        `default input '${name}' is declared as ${formatType(parameter.var?.type)}, but the workflow's is ${formatType(variable.type)}: ${problem}`,
      );
    if (parameter.behavior?.$case === 'default')
      checkLiteral(`default input '${name}'`, parameter.behavior.value, variable.type);
  }
  for (const [name, literal] of Object.entries(fixed)) {
    const variable = known(`fixed input '${name}'`, name, variables);
    checkLiteral(`fixed input '${name}'`, literal, variable.type);
  }
  const parameters: Record<string, Parameter> = {};
  for (const [name, variable] of Object.entries(variables)) {
    if (Object.hasOwn(defaults, name)) parameters[name] = defaults[name]!;
    else if (!Object.hasOwn(fixed, name))
      parameters[name] = {
        var: {
          type: variable.type,
          description: variable.description,
          artifactPartialId: undefined,
          artifactTag: undefined,
        },
        behavior: { $case: 'required', value: true },
      };
  }
  return { parameters };
}

/**
 * The whole inputs of an execution: what the user gave, then defaults, then fixed ones (K-17).
 *
 * @throws AloftError INVALID_ARGUMENT for an unknown, missing, overridden or wrongly typed input
 */
export function executionInputs(
  expected: ParameterMap | undefined,
  fixed: LiteralMap | undefined,
  given: LiteralMap | undefined,
): LiteralMap {
  const parameters = expected?.parameters ?? {};
  const fixedLiterals = fixed?.literals ?? {};
  const givenLiterals = given?.literals ?? {};
  const literals: Record<string, Literal> = {};
  for (const [name, literal] of Object.entries(givenLiterals)) {
    if (Object.hasOwn(fixedLiterals, name))
      throw invalidArgument(`input '${name}' is fixed by the launch plan and can't be overridden; leave it out`);
    const parameter = known(`input '${name}'`, name, parameters);
    checkLiteral(`input '${name}'`, literal, parameter.var?.type);
    literals[name] = literal;
  }
  for (const [name, { behavior, var: variable }] of Object.entries(parameters)) {
    if (Object.hasOwn(literals, name)) continue;
    if (behavior?.$case === 'required' && behavior.value)
      throw invalidArgument(`input '${name}' (${formatType(variable?.type)}) is required but missing`);
    if (behavior?.$case === 'default') literals[name] = behavior.value;
  }
  return { literals: { ...literals, ...fixedLiterals } };
}

function known<T>(what: string, name: string, all: Record<string, T>): T {
  if (Object.hasOwn(all, name)) return all[name]!;
  const names = Object.keys(all).sort();
  throw invalidArgument(
    `${what} is unknown: ${names.length === 0 ? 'none is expected' : `expected are ${names.map((item) => `'${item}'`).join(', ')}`}`,
  );
}
