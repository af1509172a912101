import { stableJson } from './plain-json.js';

type Schema = Record<string, unknown>;

/**
 * Why values described by the JSON schema `from` can't be used where `to` is expected; undefined when they can (C-111). They can
 * when the schemas are equal, or when `from` has all that `to` asks for: every property of `to`, of a compatible type,
 * required where `to` requires it. What only `from` has is of no matter. The rules are those of Flyte's compiler, which
 * disregards additionalProperties, dependencies, patternProperties, not and exclusive bounds.
 */
export function schemaMismatch(from: Schema, to: Schema): string | undefined {
  if (stableJson(from) === stableJson(to)) return undefined;
  return new Comparison(from, to).compare(from, to, '');
}

class Comparison {
  private readonly compared = new Map<unknown, Set<unknown>>();

  constructor(
    private readonly fromRoot: Schema,
    private readonly toRoot: Schema,
  ) {}

  compare(fromRef: unknown, toRef: unknown, path: string): string | undefined {
    const from = resolve(this.fromRoot, fromRef);
    const to = resolve(this.toRoot, toRef);
    const where = path === '' ? 'the value' : `field '${path}'`;
    if (from === undefined || to === undefined) return `${where} has a schema whose $ref leads nowhere`;
    const seen = this.compared.get(from) ?? new Set();
    if (seen.has(to)) return undefined;
    this.compared.set(from, seen.add(to));

    const fromTypes = typesOf(from);
    const toTypes = typesOf(to);
    const missing = toTypes.some((type) => !fromTypes.includes(type));
    const surplus = fromTypes.some((type) => !toTypes.includes(type) && !(type === 'object' && toTypes.length === 0));
    if (missing || surplus)
      return `${where} is ${listed(fromTypes)} in the source but ${listed(toTypes)} where it's used`;
    return (
      (toTypes.includes('string') ? compareStrings(from, to, where) : undefined) ??
      (toTypes.includes('number') ? compareNumbers(from, to, where) : undefined) ??
      (toTypes.includes('array') ? this.compareArrays(from, to, path, where) : undefined) ??
      (toTypes.includes('object') || toTypes.length === 0 ? this.compareObjects(from, to, path, where) : undefined) ??
      this.compareAlternatives(from, to, path, where) ??
      compareConstants(from, to, where)
    );
  }

  private compareArrays(from: Schema, to: Schema, path: string, where: string): string | undefined {
    const bounds = compareBounds(from, to, 'minItems', 'maxItems', where);
    if (bounds !== undefined) return bounds;
    if (to.uniqueItems === true && from.uniqueItems !== true) return `${where} must hold unique items`;
    if (to.items === undefined) return undefined;
    if (from.items === undefined) return `the items of ${where} have no type in the source`;
    if (!Array.isArray(to.items) && !Array.isArray(from.items)) return this.compare(from.items, to.items, `${path}[]`);
    if (!Array.isArray(to.items) || !Array.isArray(from.items) || to.items.length !== from.items.length)
      return `${where} is a tuple of another shape in the source`;
    const sources: unknown[] = from.items;
    return firstOf(to.items, (item, index) => this.compare(sources[index], item, `${path}[${index}]`));
  }

  private compareObjects(from: Schema, to: Schema, path: string, where: string): string | undefined {
    const required = arrayOf(from.required);
    const needed = arrayOf(to.required).find((name) => !required.includes(name));
    if (needed !== undefined) return `field '${join(path, String(needed))}' is required but optional in the source`;
    const bounds = compareBounds(from, to, 'minProperties', 'maxProperties', where);
    if (bounds !== undefined) return bounds;
    for (const keyword of ['if', 'then', 'else']) {
      if ((from[keyword] === undefined) !== (to[keyword] === undefined))
        return `${where} has '${keyword}' on one side only`;
      const problem =
        to[keyword] === undefined ? undefined : this.compare(from[keyword], to[keyword], join(path, keyword));
      if (problem !== undefined) return problem;
    }
    const sources = objectOf(from.properties);
    return firstOf(Object.entries(objectOf(to.properties)), ([name, schema]) =>
      sources[name] === undefined
        ? `the source has no field '${join(path, name)}'`
        : this.compare(sources[name], schema, join(path, name)),
    );
  }

  private compareAlternatives(from: Schema, to: Schema, path: string, where: string): string | undefined {
    for (const keyword of ['allOf', 'anyOf', 'oneOf']) {
      const sources = arrayOf(from[keyword]);
      const targets = arrayOf(to[keyword]);
      if (sources.length === 0 && targets.length === 0) continue;
      if (sources.length === 0 || targets.length === 0) return `${where} has ${keyword} on one side only`;
      // A try must leave no trace: what was compared within it holds for that alternative only.
      const fits = (source: unknown, target: unknown) =>
        new Comparison(this.fromRoot, this.toRoot).compareNested(this.compared, source, target, path) === undefined;
      const index = sources.findIndex((source) => !targets.some((target) => fits(source, target)));
      if (index >= 0) return `alternative ${index + 1} of ${where} has no counterpart where it's used`;
    }
    return undefined;
  }

  private compareNested(outer: Map<unknown, Set<unknown>>, from: unknown, to: unknown, path: string) {
    for (const [key, set] of outer) this.compared.set(key, new Set(set));
    return this.compare(from, to, path);
  }
}

function compareStrings(from: Schema, to: Schema, where: string): string | undefined {
  if ((from.format ?? '') !== (to.format ?? ''))
    return `${where} has format '${String(from.format ?? '')}' in the source but '${String(to.format ?? '')}' where it's used`;
  if (Array.isArray(to.enum)) {
    const allowed: unknown[] = to.enum;
    const illegal = arrayOf(from.enum).find((value) => !allowed.includes(value));
    if (illegal !== undefined) return `${where} may be '${String(illegal)}', which isn't allowed where it's used`;
  }
  if (to.pattern !== undefined && from.pattern !== to.pattern) return `${where} has another pattern in the source`;
  return compareBounds(from, to, 'minLength', 'maxLength', where);
}

function compareNumbers(from: Schema, to: Schema, where: string): string | undefined {
  const bounds = compareBounds(from, to, 'minimum', 'maximum', where);
  if (bounds !== undefined) return bounds;
  if (
    typeof to.multipleOf === 'number' &&
    (typeof from.multipleOf !== 'number' || from.multipleOf % to.multipleOf !== 0)
  )
    return `${where} must be a multiple of ${to.multipleOf}`;
  return undefined;
}

function compareBounds(from: Schema, to: Schema, low: string, high: string, where: string): string | undefined {
  const [fromLow, toLow, fromHigh, toHigh] = [from[low], to[low], from[high], to[high]];
  if (typeof toLow === 'number' && !(typeof fromLow === 'number' && fromLow >= toLow))
    return `${where} has ${low} ${toLow}, the source ${typeof fromLow === 'number' ? fromLow : 'none'}`;
  if (typeof toHigh === 'number' && !(typeof fromHigh === 'number' && fromHigh <= toHigh))
    return `${where} has ${high} ${toHigh}, the source ${typeof fromHigh === 'number' ? fromHigh : 'none'}`;
  return undefined;
}

const compareConstants = (from: Schema, to: Schema, where: string): string | undefined =>
  to.const !== undefined && stableJson(from.const) !== stableJson(to.const)
    ? `${where} must be ${stableJson(to.const)}`
    : undefined;

function resolve(root: Schema, schema: unknown): Schema | undefined {
  for (let hops = 0; hops < 100; hops++) {
    if (schema === true) return {};
    if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return undefined;
    const { $ref } = schema as Schema;
    if (typeof $ref !== 'string') return schema as Schema;
    if (!$ref.startsWith('#')) return undefined;
    let target: unknown = root;
    for (const part of $ref.slice(1).split('/').slice(1)) {
      const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
      target = typeof target === 'object' && target !== null ? (target as Schema)[key] : undefined;
    }
    schema = target;
  }
  return undefined;
}

const typesOf = ({ type }: Schema): string[] =>
  typeof type === 'string' ? [type] : arrayOf(type).filter((item): item is string => typeof item === 'string');
const listed = (types: string[]): string => (types.length === 0 ? 'of no declared type' : types.join(' or '));
const arrayOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const objectOf = (value: unknown): Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Schema) : {};
const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);

function firstOf<T>(items: T[], check: (item: T, index: number) => string | undefined): string | undefined {
  for (const [index, item] of items.entries()) {
    const problem = check(item, index);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
