import { failure, type PhaseReport } from '@aloft/backend-kit';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import { givenInputs, type InputValues } from './stored-inputs.js';

const types: ReadonlySet<string> = new Set(['noop', 'echo']);

export const isInlineType = (type: string | undefined): boolean => types.has(type ?? '');

/**
 * `noop` and `echo` need no process: they succeed at once, and in sorted order of names each output takes the value of the
 * input in the same place (C-192). Of lists an item of an array takes its own element. `undefined` for other types, and where stored
 * inputs are needed that `stored` does not have.
 */
export function runInline(
  launch: LaunchTask,
  stored: (uri: string) => InputValues | undefined = () => undefined,
): PhaseReport | undefined {
  const { template, inputs, attempt } = launch;
  if (!template || !types.has(template.type)) return undefined;
  const outputNames = Object.keys(template.interface?.outputs?.variables ?? {}).sort();
  const literals: Record<string, Literal> = {};
  if (outputNames.length > 0) {
    const given =
      inputs?.value?.$case === 'stored'
        ? stored(inputs.value.value.uri)
        : givenInputs(inputs?.value?.$case === 'inline' ? inputs.value.value.literals : {});
    if (!given) return undefined;
    const inputNames = given.names;
    for (const [place, name] of outputNames.entries()) {
      const from = inputNames[place];
      if (from === undefined)
        return refused(
          `it declares ${outputNames.length} outputs and was given ${inputNames.length} inputs to take them from`,
        );
      const index = attempt?.index;
      const item = index !== undefined && given.isList(from) ? given.element(from, index) : given.get(from);
      if (item === undefined) return refused(`input "${from}" has no element ${attempt?.index}`);
      literals[name] = item;
    }
  }
  return {
    phase: TaskExecution_Phase.SUCCEEDED,
    outcome: {
      result: { $case: 'outputs', value: { value: { $case: 'inline', value: { literals } } } },
      deckUri: '',
      checkpointUri: '',
    },
  };

  function refused(why: string): PhaseReport {
    return failure({
      code: 'LaunchRefused',
      message: `A task of type ${template?.type} cannot run: ${why}.`,
      kind: 'USER',
      retryable: false,
    });
  }
}
