import type { Literal, Primitive } from '@aloft/idl/flyteidl/core/literals';
import { msgpackTag } from './literal-of.js';
import { msgpackPart, msgpackToPlain } from './msgpack.js';
import { formatDuration, formatTimestamp } from './time.js';

export interface FormatOptions {
  /** Characters after which the text is cut, an ellipsis included. Default 200. */
  limit?: number;
}

/** A literal as people read it, on one line: `42`, `"text"`, `[1, 2]`, `{"a": 1.5}`, `s3://… (file)`. */
export function formatLiteral(literal: Literal | undefined, { limit = 200 }: FormatOptions = {}): string {
  const writer = new Writer(limit);
  writer.literal(literal);
  return writer.text();
}

/** Stops as soon as the limit is reached, so that a list of a million costs no more than its first items. */
class Writer {
  private out = '';

  constructor(private readonly limit: number) {}

  text(): string {
    return this.out.length > this.limit ? `${this.out.slice(0, Math.max(0, this.limit - 1))}…` : this.out;
  }

  literal(literal: Literal | undefined): void {
    const value = literal?.value;
    if (value === undefined) return this.put(literal?.hash ? `(value with hash ${literal.hash})` : '(nothing)');
    switch (value.$case) {
      case 'collection':
        return this.list('[', value.value.literals, (item) => this.literal(item), ']');
      case 'map':
        return this.object(Object.entries(value.value.literals), (item) => this.literal(item));
      case 'offloadedMetadata':
        return this.put(`${value.value.uri} (${value.value.sizeBytes} bytes, offloaded)`);
    }
    const scalar = value.value.value;
    switch (scalar?.$case) {
      case undefined:
        return this.put('(nothing)');
      case 'primitive':
        return this.put(formatPrimitive(scalar.value));
      case 'noneType':
        return this.put('none');
      case 'union':
        return this.literal(scalar.value.value);
      case 'generic':
        return this.plain(scalar.value ?? {});
      case 'blob':
        return this.put(
          `${scalar.value.uri} (${scalar.value.metadata?.type?.dimensionality === 1 ? 'directory' : 'file'})`,
        );
      case 'schema':
        return this.put(`${scalar.value.uri} (schema)`);
      case 'structuredDataset':
        return this.put(`${scalar.value.uri} (dataset)`);
      case 'error':
        return this.put(`error: ${scalar.value.message}`);
      case 'binary':
        return this.binary(scalar.value.value, scalar.value.tag);
    }
  }

  private binary(bytes: Uint8Array, tag: string): void {
    if (tag === msgpackTag)
      try {
        return this.plain(msgpackToPlain(msgpackPart(bytes).read()));
      } catch {
        // Not msgpack after all: this text is for people, who then see the size like that of any other binary.
      }
    this.put(`(${bytes.length} bytes${tag === '' ? '' : ` of ${tag}`})`);
  }

  private plain(value: unknown): void {
    if (Array.isArray(value)) return this.list('[', value, (item) => this.plain(item), ']');
    if (value instanceof Uint8Array) return this.put(`(${value.length} bytes)`);
    if (typeof value === 'object' && value !== null)
      return this.object(Object.entries(value), (item) => this.plain(item));
    if (value === null || value === undefined) return this.put('none');
    this.put(typeof value === 'string' ? JSON.stringify(value) : String(value));
  }

  private object<T>(entries: [string, T][], each: (item: T) => void): void {
    this.list(
      '{',
      entries,
      ([key, item]) => {
        this.put(`${JSON.stringify(key)}: `);
        each(item);
      },
      '}',
    );
  }

  private list<T>(open: string, items: T[], each: (item: T) => void, close: string): void {
    this.put(open);
    for (const [index, item] of items.entries()) {
      if (this.out.length > this.limit) return;
      if (index > 0) this.put(', ');
      each(item);
    }
    this.put(close);
  }

  private put(text: string): void {
    if (this.out.length <= this.limit) this.out += text;
  }
}

function formatPrimitive({ value }: Primitive): string {
  if (value === undefined) return '(nothing)';
  switch (value.$case) {
    case 'stringValue':
      return JSON.stringify(value.value);
    case 'floatValue':
      return Number.isInteger(value.value) ? value.value.toFixed(1) : String(value.value);
    case 'datetime':
      return formatTimestamp(value.value);
    case 'duration':
      return formatDuration(value.value);
    default:
      return String(value.value);
  }
}
