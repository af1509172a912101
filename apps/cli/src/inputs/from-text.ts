import { extname } from 'node:path';
import { BlobType_BlobDimensionality, SimpleType, type LiteralType } from '@aloft/idl/flyteidl/core/types';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import { formatType, literalOf } from '@aloft/literals';
import { UsageError } from '../failure.js';

/** Stores a local file or folder; answers its URI. */
export type Upload = (path: string, multipart: boolean) => Promise<string>;

const wrong = (path: string, type: LiteralType, given: unknown): UsageError =>
  new UsageError(`${path} must be ${formatType(type)}, but it is ${JSON.stringify(given)}.`);

/**
 * A value as typed on the command line: plain for scalars, JSON for lists, maps and structs, a path or URI for files.
 * `path` is what refusals call it: `--n` of an option, or in words.
 */
export async function literalFromText(type: LiteralType, text: string, path: string, upload: Upload): Promise<Literal> {
  switch (type.type?.$case) {
    case 'collectionType':
    case 'mapValueType':
      return literalFromJson(type, parseJson(type, text, path), path, upload);
    case 'simple':
      if (type.type.value === SimpleType.STRUCT)
        return literalFromJson(type, parseJson(type, text, path), path, upload);
      if (type.type.value === SimpleType.BOOLEAN) {
        if (text !== 'true' && text !== 'false') throw wrong(path, type, text);
        return literalOf.boolean(text === 'true');
      }
      if (type.type.value === SimpleType.FLOAT) {
        const number = { nan: NaN, inf: Infinity, '-inf': -Infinity }[text.toLowerCase()] ?? Number(text);
        if (text.trim() === '' || (Number.isNaN(number) && text.toLowerCase() !== 'nan')) throw wrong(path, type, text);
        return literalOf.float(number);
      }
      return literalFromJson(type, text, path, upload);
    case 'unionType': {
      // None only if it says so; then whatever variant takes the text, strings last.
      const variants = [...type.type.value.variants].sort((a, b) => Number(isString(a)) - Number(isString(b)));
      for (const variant of variants) {
        if (isNone(variant) !== (text === 'null')) continue;
        try {
          return literalOf.union(await literalFromText(variant, text, path, upload), variant);
        } catch (error) {
          if (!(error instanceof UsageError)) throw error;
        }
      }
      throw wrong(path, type, text);
    }
    default:
      return literalFromJson(type, text, path, upload);
  }
}

const isNone = (type: LiteralType): boolean => type.type?.$case === 'simple' && type.type.value === SimpleType.NONE;
const isString = (type: LiteralType): boolean => type.type?.$case === 'simple' && type.type.value === SimpleType.STRING;

function parseJson(type: LiteralType, text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError(`${path} must be ${formatType(type)} as JSON, but it is ${text}.`);
  }
}

/** A value of an inputs file (JSON or YAML), or a part of one. */
export async function literalFromJson(
  type: LiteralType,
  value: unknown,
  path: string,
  upload: Upload,
): Promise<Literal> {
  const kind = type.type;
  switch (kind?.$case) {
    case 'collectionType': {
      if (!Array.isArray(value)) throw wrong(path, type, value);
      return literalOf.collection(
        await Promise.all(value.map((item, i) => literalFromJson(kind.value, item, `${path}[${i}]`, upload))),
      );
    }
    case 'mapValueType': {
      if (!isObject(value)) throw wrong(path, type, value);
      const entries = await Promise.all(
        Object.entries(value).map(
          async ([key, item]) => [key, await literalFromJson(kind.value, item, `${path}.${key}`, upload)] as const,
        ),
      );
      return literalOf.map(Object.fromEntries(entries));
    }
    case 'enumType':
      if (typeof value !== 'string' || !kind.value.values.includes(value))
        throw new UsageError(
          `${path} must be one of ${kind.value.values.join(', ')}, but it is ${JSON.stringify(value)}.`,
        );
      return literalOf.string(value);
    case 'blob': {
      if (typeof value !== 'string') throw wrong(path, type, value);
      const multipart = kind.value.dimensionality === BlobType_BlobDimensionality.MULTIPART;
      const uri = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : await upload(value, multipart);
      return literalOf.blob(
        uri,
        kind.value.format || (multipart ? '' : extname(value).slice(1)),
        kind.value.dimensionality,
      );
    }
    case 'structuredDatasetType': {
      if (typeof value !== 'string') throw wrong(path, type, value);
      const uri = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : await upload(value, false);
      return literalOf.structuredDataset(uri, { ...kind.value, format: kind.value.format || extname(value).slice(1) });
    }
    case 'unionType':
      for (const variant of kind.value.variants) {
        if (isNone(variant) !== (value === null)) continue;
        try {
          return literalOf.union(await literalFromJson(variant, value, path, upload), variant);
        } catch (error) {
          if (!(error instanceof UsageError)) throw error;
        }
      }
      throw wrong(path, type, value);
    case 'simple':
      return simpleFromJson(type, kind.value, value, path);
    default:
      throw new UsageError(`${path} is ${formatType(type)}, which cannot be given here; use the API or flytekit.`);
  }
}

function simpleFromJson(type: LiteralType, simple: SimpleType, value: unknown, path: string): Literal {
  switch (simple) {
    case SimpleType.INTEGER:
      if (
        (typeof value === 'number' && Number.isSafeInteger(value)) ||
        (typeof value === 'string' && /^[+-]?\d+$/.test(value))
      ) {
        const integer = BigInt(value);
        if (BigInt.asIntN(64, integer) === integer) return literalOf.integer(integer);
      }
      throw wrong(path, type, value);
    case SimpleType.FLOAT:
      if (typeof value !== 'number') throw wrong(path, type, value);
      return literalOf.float(value);
    case SimpleType.STRING:
      if (typeof value !== 'string') throw wrong(path, type, value);
      return literalOf.string(value);
    case SimpleType.BOOLEAN:
      if (typeof value !== 'boolean') throw wrong(path, type, value);
      return literalOf.boolean(value);
    case SimpleType.DATETIME: {
      const time =
        value === 'now'
          ? new Date()
          : value instanceof Date
            ? value
            : new Date(typeof value === 'string' ? value : NaN);
      if (Number.isNaN(time.getTime()))
        throw new UsageError(
          `${path} must be a date and time like 2026-11-23T20:15:00Z, or now, but it is ${JSON.stringify(value)}.`,
        );
      const seconds = Math.floor(time.getTime() / 1000);
      return literalOf.datetime({ seconds: BigInt(seconds), nanos: (time.getTime() - seconds * 1000) * 1e6 });
    }
    case SimpleType.DURATION: {
      const ms = durationMilliseconds(value);
      if (ms === undefined)
        throw new UsageError(
          `${path} must be a duration like 90s, 1h30m or 250ms, but it is ${JSON.stringify(value)}.`,
        );
      const seconds = Math.trunc(ms / 1000);
      return literalOf.duration({ seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) });
    }
    case SimpleType.STRUCT:
      if (!isObject(value)) throw wrong(path, type, value);
      return literalOf.struct(value);
    case SimpleType.NONE:
      return literalOf.none();
    default:
      throw new UsageError(`${path} is ${formatType(type)}, which cannot be given here; use the API or flytekit.`);
  }
}

function durationMilliseconds(value: unknown): number | undefined {
  if (typeof value !== 'string' || !/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(value)) return undefined;
  const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
  return [...value.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)].reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * units[unit!]!,
    0,
  );
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
