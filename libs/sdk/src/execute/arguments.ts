import { parseArgs } from 'node:util';

/** Arguments of `aloft-execute`, as task templates carry them and the platform fills them. */
export interface ExecuteArguments {
  /** Where inputs.pb is: a path or an s3:// URI. */
  readonly inputs: string;
  /** Where outputs.pb, error.pb, deck.html and futures.pb go. */
  readonly outputPrefix: string;
  /** Where files go. */
  readonly rawOutputPrefix: string;
  readonly checkpointPath?: string;
  readonly previousCheckpoint?: string;
  /** URI of the bundle. */
  readonly distribution?: string;
  readonly module: string;
  readonly task: string;
}

/** Reads the arguments; the leading program name may be there or not. Throws a TypeError that names what is wrong. */
export function parseArguments(argv: readonly string[]): ExecuteArguments {
  const args = argv[0] === 'aloft-execute' ? argv.slice(1) : [...argv];
  const { values } = parseArgs({
    args,
    options: {
      inputs: { type: 'string' },
      'output-prefix': { type: 'string' },
      'raw-output-data-prefix': { type: 'string' },
      'checkpoint-path': { type: 'string' },
      'prev-checkpoint': { type: 'string' },
      'additional-distribution': { type: 'string' },
      module: { type: 'string' },
      task: { type: 'string' },
    },
  });
  const required = (name: 'inputs' | 'output-prefix' | 'raw-output-data-prefix' | 'module' | 'task'): string => {
    const value = values[name];
    if (!value) throw new TypeError(`aloft-execute: --${name} is missing.`);
    return value;
  };
  return {
    inputs: required('inputs'),
    outputPrefix: required('output-prefix').replace(/\/+$/, ''),
    rawOutputPrefix: required('raw-output-data-prefix').replace(/\/+$/, ''),
    checkpointPath: present(values['checkpoint-path']),
    previousCheckpoint: present(values['prev-checkpoint']),
    distribution: present(values['additional-distribution']),
    module: required('module'),
    task: required('task'),
  };
}

/** An absent value renders as nothing or as two quote characters. */
const present = (value: string | undefined): string | undefined =>
  value === undefined || value === '' || value === '""' ? undefined : value.replace(/\/+$/, '');

/** Index of a map's item, if this is one: BATCH_JOB_ARRAY_INDEX_VAR_NAME names the variable that holds it. */
export function itemIndex(env: NodeJS.ProcessEnv): number | undefined {
  const variable = env['BATCH_JOB_ARRAY_INDEX_VAR_NAME'];
  const text = variable === undefined ? undefined : env[variable];
  return text ? Number(text) + Number(env['BATCH_JOB_ARRAY_INDEX_OFFSET'] ?? 0) : undefined;
}
