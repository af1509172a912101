import { readFileSync } from 'node:fs';
import { parse, YAMLParseError } from 'yaml';
import { z } from 'zod';
import { AloftError, invalidArgument } from '@aloft/errors';

export interface LoadConfigOptions<S extends z.ZodObject> {
  schema: S;
  /** Path of a YAML file; missing is an error only when it was asked for by name. */
  file?: string;
  /** Default `process.env`. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Prefix of the variables (default `ALOFT_`). */
  prefix?: string;
}

/**
 * One validated configuration: the schema's defaults, over them the YAML file, over that the environment. The variable of
 * `grpc.port` is `ALOFT_GRPC_PORT`, of `dataDir` `ALOFT_DATA_DIR`; lists and objects are written as YAML (or JSON).
 *
 * @throws AloftError INVALID_ARGUMENT that lists every mistake: where (file path or variable), what stands there, what would be right.
 */
export function loadConfig<S extends z.ZodObject>(options: LoadConfigOptions<S>): z.output<S> {
  const mistakes: string[] = [];
  const prefix = options.prefix ?? 'ALOFT_';
  const values = options.file === undefined ? {} : readYaml(options.file, mistakes);
  const origin = new Map<string, string>();
  for (const [variable, leaf] of environmentNames(options.schema, prefix)) {
    const text = (options.env ?? process.env)[variable];
    if (text === undefined) continue;
    origin.set(leaf.path.join('.'), variable);
    assign(values, leaf.path, parseText(text, leaf.schema));
  }
  const parsed = options.schema.strict().safeParse(values);
  if (parsed.success && mistakes.length === 0) return parsed.data as z.output<S>;
  for (const issue of parsed.error?.issues ?? []) mistakes.push(describe(issue, values, origin, options.file));
  throw invalidArgument(
    `the configuration has ${mistakes.length} mistake(s):\n${mistakes.map((m) => `  - ${m}`).join('\n')}`,
  );
}

interface Leaf {
  path: string[];
  schema: z.ZodType;
}

/** The variable of every leaf of a schema; two leaves with one name are a mistake of the schema. */
export function environmentNames(schema: z.ZodObject, prefix = 'ALOFT_'): Map<string, Leaf> {
  const names = new Map<string, Leaf>();
  const visit = (object: z.ZodObject, path: string[]): void => {
    for (const [key, child] of Object.entries(object.shape)) {
      const inner = unwrap(child as z.ZodType);
      const here = [...path, key];
      if (inner instanceof z.ZodObject) visit(inner, here);
      const name = prefix + here.map(upperSnake).join('_');
      const other = names.get(name);
      if (other) {
        throw new AloftError('INTERNAL', `${other.path.join('.')} and ${here.join('.')} share the variable ${name}`);
      }
      names.set(name, { path: here, schema: inner });
    }
  };
  visit(schema, []);
  return names;
}

const upperSnake = (key: string): string => key.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase();

function unwrap(schema: z.ZodType): z.ZodType {
  let inner = schema;
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault) {
    inner = inner.unwrap() as z.ZodType;
  }
  return inner;
}

function parseText(text: string, schema: z.ZodType): unknown {
  if (schema instanceof z.ZodString || schema instanceof z.ZodEnum) return text;
  try {
    return parse(text);
  } catch {
    return text; // The schema says what would be right.
  }
}

function readYaml(file: string, mistakes: string[]): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw invalidArgument(`the configuration file ${file} can't be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
  try {
    const value: unknown = parse(text) ?? {};
    if (typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>;
    mistakes.push(`${file}: is not a mapping of settings but ${JSON.stringify(value)}`);
  } catch (error) {
    if (!(error instanceof YAMLParseError)) throw error;
    mistakes.push(`${file}: ${error.message}`);
  }
  return {};
}

function assign(values: Record<string, unknown>, path: string[], value: unknown): void {
  let at = values;
  for (const key of path.slice(0, -1)) {
    if (typeof at[key] !== 'object' || at[key] === null) at[key] = {};
    at = at[key] as Record<string, unknown>;
  }
  at[path.at(-1) as string] = value;
}

function describe(
  issue: z.core.$ZodIssue,
  values: unknown,
  origin: ReadonlyMap<string, string>,
  file: string | undefined,
): string {
  const path = issue.path.map(String);
  const name = path.join('.');
  const where = origin.get(name) ?? (file === undefined ? name : `${file}: ${name}`);
  const given = path.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], values);
  const value = given === undefined || secret.test(name) ? '' : ` (it is ${withoutPassword(JSON.stringify(given))})`;
  return `${where || 'settings'}: ${issue.message}${value}`;
}

/** `//user:password@` in a URL. */
const withoutPassword = (text: string): string => text.replace(/(:\/\/[^:@/]*):[^@]*@/g, '$1:…@');

const secret = /password|secret|token|key$/i;
