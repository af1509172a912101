import { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { SimpleType, type LiteralType } from '@aloft/idl/flyteidl/core/types';

const simple = (value: SimpleType): LiteralType => ({ type: { $case: 'simple', value } }) as LiteralType;

/** The same marks as load/marks-of-task.ts, from the shell: `printf` is a builtin that writes a line at once. */
const script = `
read -r stat < /proc/$$/stat
start=$(echo "$stat" | cut -d' ' -f22)
claimed=$(stat -c %.3Y ../claim 2>/dev/null | tr -d .)
mark() {
  printf '%s %s %s %s - %s %s.%s %s %s %s -\\n' "$1" "$FLYTE_INTERNAL_EXECUTION_ID" "$step" "$FLYTE_ATTEMPT_NUMBER" \\
    "$ALOFT_ATTEMPT" $$ "$start" "$(date +%s%3N)" "\${claimed:--}" "$2" >> "$ALOFT_FAULTS_MARKS"
}
step=$1
mark start -
sleep "$2"
if [ "$FLYTE_ATTEMPT_NUMBER" -lt "$3" ]; then mark end failed; exit 3; fi
mark end ok
`;

/** A container task whose command is `sh`: it has no outputs, so that it needs no storage either. */
export function shellTask(
  project: string,
  domain: string,
  version: string,
): { id: Identifier; template: TaskTemplate } {
  const id: Identifier = { resourceType: ResourceType.TASK, project, domain, name: 'faults.shell', version, org: '' };
  const variables = {
    step: { type: simple(SimpleType.STRING) },
    seconds: { type: simple(SimpleType.FLOAT) },
    fails: { type: simple(SimpleType.INTEGER) },
  };
  const template = TaskTemplate.fromPartial({
    id,
    type: 'container',
    metadata: { runtime: { type: 0, version: '1', flavor: 'faults' }, retries: { retries: 0 } },
    interface: { inputs: { variables }, outputs: { variables: {} } },
    target: {
      $case: 'container',
      value: {
        image: 'busybox',
        command: ['sh', '-c', script, 'step'],
        args: ['{{.inputs.step}}', '{{.inputs.seconds}}', '{{.inputs.fails}}'],
      },
    },
  });
  return { id, template };
}
