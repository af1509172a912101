import { AloftError } from '@aloft/errors';
import type { Literal, LiteralMap, Primitive, Scalar } from '@aloft/idl/flyteidl/core/literals';
import { msgpackTag } from './literal-of.js';
import { msgpackPart, msgpackToPlain } from './msgpack.js';
import { jsonText } from './plain-json.js';
import { formatDuration, formatTimestamp } from './time.js';

/** What the placeholders of a command stand for (C-106). All are paths or URIs unless said otherwise. */
export interface TemplateValues {
  /** The file with the inputs, `…/inputs.pb`. */
  input: string;
  /** The folder that the file lies in. */
  inputPrefix: string;
  outputPrefix: string;
  rawOutputDataPrefix: string;
  checkpointOutputPrefix: string;
  /** Empty on a first attempt: rendered as two quote characters, so that the option keeps a value. */
  prevCheckpointPrefix: string;
  /** A word of letters, digits and underscores, different for each attempt; see {@link perRetryUniqueKey}. */
  perRetryUniqueKey: string;
  namespace: string;
  /** Where the task template lies; a command that asks for it without one is refused. */
  taskTemplatePath?: string;
  /** The values that `{{.inputs.x}}` shows. */
  inputs: LiteralMap | undefined;
}

/** A placeholder can't be filled: names it, and why. */
export class TemplateError extends AloftError {
  constructor(
    readonly placeholder: string,
    problem: string,
  ) {
    super('INVALID_ARGUMENT', `placeholder ${placeholder}: ${problem}`);
    this.name = 'TemplateError';
  }
}

const fixedKeys: Record<string, Exclude<keyof TemplateValues, 'inputs'>> = {
  input: 'input',
  inputprefix: 'inputPrefix',
  outputprefix: 'outputPrefix',
  rawoutputdataprefix: 'rawOutputDataPrefix',
  checkpointoutputprefix: 'checkpointOutputPrefix',
  prevcheckpointprefix: 'prevCheckpointPrefix',
  perretryuniquekey: 'perRetryUniqueKey',
  namespace: 'namespace',
  tasktemplatepath: 'taskTemplatePath',
};

// Keys in any case, after a dot or a dollar sign, with or without blanks, as in Flyte.
const placeholders = /\{\{\s*[.$](?:([A-Za-z]+)|inputs\.([^}\s]+))\s*\}\}/gi;
const namespaces = /\{\{\s*[.$]namespace\s*\}\}/gi;

/**
 * Fills the placeholders of a command and its arguments. What isn't a known placeholder stays as it is. A primitive is written
 * as it reads (datetimes in RFC 3339, durations in seconds), a list as `[a,b]`, a file, directory, schema or dataset by its URI, a
 * dataclass or dict as JSON; None, errors, maps and raw bytes can't be written into a command.
 *
 * @throws TemplateError
 */
export function renderTemplate(args: readonly string[], values: TemplateValues): string[] {
  return args.map((arg) =>
    arg.replace(placeholders, (whole, key: string | undefined, variable: string | undefined) => {
      if (variable !== undefined) return renderInput(whole, variable, values.inputs);
      const name = fixedKeys[key!.toLowerCase()];
      if (name === undefined) return whole;
      const value = values[name];
      if (value === undefined) throw new TemplateError(whole, 'no task template is stored for this task');
      if (name === 'prevCheckpointPrefix' && value === '') return '""';
      return name === 'namespace' ? value : value.replace(namespaces, () => values.namespace);
    }),
  );
}

/** Names of the inputs that a command shows, so that large inputs are read only if they are. */
export function inputsInTemplate(args: readonly string[]): Set<string> {
  const names = new Set<string>();
  for (const arg of args)
    for (const match of arg.matchAll(placeholders)) if (match[2] !== undefined) names.add(match[2]);
  return names;
}

/** The attempt's unique key for use in queries and names: starts with a letter, other characters become underscores. */
export const perRetryUniqueKey = (attemptName: string): string =>
  attemptName.replace(/^[^a-zA-Z_]+/, 'a').replace(/[^a-zA-Z0-9_]+/g, '_');

function renderInput(placeholder: string, variable: string, inputs: LiteralMap | undefined): string {
  const literals = inputs?.literals ?? {};
  if (!Object.hasOwn(literals, variable)) {
    const names = Object.keys(literals).sort();
    throw new TemplateError(
      placeholder,
      `there is no input '${variable}' (inputs: ${names.length === 0 ? 'none' : names.join(', ')})`,
    );
  }
  return renderLiteral(placeholder, literals[variable]!);
}

function renderLiteral(placeholder: string, literal: Literal): string {
  switch (literal.value?.$case) {
    case 'scalar':
      return renderScalar(placeholder, literal.value.value);
    case 'collection':
      return `[${literal.value.value.literals.map((item) => renderLiteral(placeholder, item)).join(',')}]`;
    case 'map':
      throw new TemplateError(placeholder, "a map can't be written into a command; pass it as a file with {{.input}}");
    case 'offloadedMetadata':
      throw new TemplateError(placeholder, `the value lies at ${literal.value.value.uri} and has to be read first`);
    case undefined:
      throw new TemplateError(placeholder, 'the input is empty');
  }
}

function renderScalar(placeholder: string, { value }: Scalar): string {
  switch (value?.$case) {
    case 'primitive':
      return renderPrimitive(placeholder, value.value);
    case 'blob':
    case 'schema':
    case 'structuredDataset':
      return value.value.uri;
    case 'union':
      if (value.value.value === undefined) throw new TemplateError(placeholder, 'the union holds no value');
      return renderLiteral(placeholder, value.value.value);
    case 'binary':
      if (value.value.tag === msgpackTag) return renderPlain(msgpackToPlain(msgpackPart(value.value.value).read()));
      throw new TemplateError(placeholder, `bytes of '${value.value.tag}' can't be written into a command`);
    case 'generic':
      return renderPlain(value.value ?? {});
    case 'noneType':
      throw new TemplateError(placeholder, "the input is None, which can't be written into a command");
    case 'error':
      throw new TemplateError(placeholder, "an error can't be written into a command");
    case undefined:
      throw new TemplateError(placeholder, 'the input is empty');
  }
}

const renderPlain = (value: unknown): string =>
  typeof value === 'string' ? value : typeof value === 'number' ? renderFloat(value) : jsonText(value);

function renderPrimitive(placeholder: string, { value }: Primitive): string {
  if (value === undefined) throw new TemplateError(placeholder, 'the input is empty');
  switch (value.$case) {
    case 'floatValue':
      return renderFloat(value.value);
    case 'datetime':
      return formatTimestamp(value.value).replace(/(\.\d*?)0+Z$/, '$1Z');
    case 'duration':
      return formatDuration(value.value);
    default:
      return String(value.value);
  }
}

/** As Go prints a double with %v: shortest digits, with an exponent of two digits or more below 1e-4 and from 1e6 on. */
function renderFloat(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  if (Object.is(value, -0)) return '-0';
  const [mantissa, exponent = '0'] = value.toExponential().split('e');
  const power = Number(exponent);
  if (power >= -4 && power < 6) return String(value);
  return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}
