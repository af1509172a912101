import { failure, type PhaseReport } from '@aloft/backend-kit';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';

const types: ReadonlySet<string> = new Set(['noop', 'echo']);

/**
 * `noop` and `echo` need no process: they succeed at once, and in sorted order of names each output takes the value of the
 * input in the same place (C-192). Of a map task's list inputs an item takes its own element. `undefined` for other types.
 */
export function runInline(launch: LaunchTask): PhaseReport | undefined {
  const { template, inputs, attempt } = launch;
  if (!template || !types.has(template.type)) return undefined;
  const outputNames = Object.keys(template.interface?.outputs?.variables ?? {}).sort();
  const literals: Record<string, Literal> = {};
  if (outputNames.length > 0) {
    if (inputs?.value?.$case === 'stored')
      return refused(`its inputs (${inputs.value.value.size} bytes) are stored, and this type reads inline ones only`);
    const given = inputs?.value?.$case === 'inline' ? inputs.value.value.literals : {};
    const declared = template.interface?.inputs?.variables ?? {};
    const inputNames = Object.keys(given).sort();
    for (const [place, name] of outputNames.entries()) {
      const from = inputNames[place];
      const value = from === undefined ? undefined : given[from];
      if (from === undefined || value === undefined)
        return refused(
          `it declares ${outputNames.length} outputs and was given ${inputNames.length} inputs to take them from`,
        );
      const list = declared[from]?.type?.type?.$case === 'collectionType' && value.value?.$case === 'collection';
      const item =
        attempt?.index !== undefined && list && value.value?.$case === 'collection'
          ? value.value.value.literals[attempt.index]
          : value;
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
