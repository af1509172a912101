import { Command } from 'commander';
import type { ControlNode } from '@aloft/idl/aloft/v1/bus';
import { Revision, Revision_State as State } from '@aloft/idl/aloft/v1/control';
import { formatLiteral } from '@aloft/literals';
import { formatTime, messageJson, table } from '../output.js';
import { executionId, within, withGlobalOptions } from './context.js';

export function revisionsCommand(): Command {
  return withGlobalOptions(new Command('revisions'))
    .description('list what was changed of the nodes of a run: who, when, what, why')
    .argument('<execution>')
    .action((name: string, _options: object, command: Command) =>
      within(command, async ({ connection, output, target }) => {
        const id = executionId(target, name);
        const revisions: Revision[] = [];
        let token = '';
        do {
          const page = await connection.nodes.listRevisions({ id, limit: 0, token });
          revisions.push(...page.revisions);
          ({ token } = page);
        } while (token !== '');
        output.result(
          revisions.map((revision) => messageJson('aloft.v1.Revision', Revision, revision)),
          table(
            ['', 'node', 'what', 'state', 'when', 'who', 'why'],
            revisions.map(({ number, control, specPath, state, at, execution, refused }) => [
              String(number),
              control?.nodeId || specPath,
              describe(control) + (execution ? ` → ${execution.name}` : ''),
              (State[state] ?? '').toLowerCase() + (refused ? `: ${refused}` : ''),
              formatTime(at),
              control?.principal || 'anonymous',
              control?.cause ?? '',
            ]),
          ),
        );
      }),
    );
}

/** What was asked, in a few words. */
function describe(command: ControlNode | undefined): string {
  const control = command?.control;
  switch (control?.$case) {
    case 'cancel':
      return control.value.skipDownstream ? 'cancel, skip downstream' : 'cancel';
    case 'retry':
      return 'retry';
    case 'setOutputs':
      return `set ${values(control.value.outputs?.literals ?? {})}`;
    case 'rerun': {
      const { inputs, task, overrides } = control.value;
      const resources = overrides?.resources?.requests.map(({ value }) => value).join(', ');
      return [
        'rerun',
        inputs && `with ${values(inputs.literals)}`,
        task?.id && `task ${task.id.name}@${task.id.version}`,
        resources && `resources ${resources}`,
      ]
        .filter(Boolean)
        .join(', ');
    }
    default:
      return '';
  }
}

function values(literals: Record<string, Parameters<typeof formatLiteral>[0]>): string {
  return Object.entries(literals)
    .map(([name, literal]) => `${name}=${formatLiteral(literal, { limit: 30 })}`)
    .join(', ');
}
