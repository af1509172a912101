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
  /** This is one item of a map. */
  readonly map: boolean;
  readonly boundInputs: readonly string[];
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
      map: { type: 'boolean', default: false },
      'bound-inputs': { type: 'string' },
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
    map: values.map,
    boundInputs: present(values['bound-inputs'])?.split(',') ?? [],
  };
}

/** An absent value renders as nothing or as two quote characters. */
const present = (value: string | undefined): string | undefined =>
  value === undefined || value === '' || value === '""' ? undefined : value.replace(/\/+$/, '');

/** Index of a map's item, as the platform tells it: BATCH_JOB_ARRAY_INDEX_VAR_NAME names the variable that holds it. */
export function itemIndex(env: NodeJS.ProcessEnv): number {
  const variable = env['BATCH_JOB_ARRAY_INDEX_VAR_NAME'] ?? 'FLYTE_K8S_ARRAY_INDEX';
  const text = env[variable];
  const offset = Number(env['BATCH_JOB_ARRAY_INDEX_OFFSET'] ?? 0);
  const index = Number(text) + offset;
  if (text === undefined || text === '' || !Number.isInteger(index))
    throw new TypeError(
      `aloft-execute --map: ${variable} must hold the index of the item, but it is ${text ?? 'not set'}.`,
    );
  return index;
}
