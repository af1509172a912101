import { invalidArgument } from '@aloft/errors';

const rfc3339 = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/i;

/** RFC 3339 (also a bare date, midnight UTC) as Postgres takes it, microseconds kept; `undefined` for anything else. */
export function parseTimestamp(text: string): string | undefined {
  const full = /^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00Z` : text;
  if (!rfc3339.test(full) || Number.isNaN(Date.parse(full.replace(' ', 'T')))) return undefined;
  return full;
}

const units: Record<string, number> = { ns: 1, us: 1e3, µs: 1e3, μs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/** Seconds (`90`, `1.5`) or a Go duration (`1h30m`, `250ms`), in nanoseconds as text; `undefined` for anything else. */
export function parseDuration(text: string): string | undefined {
  if (/^-?\d+(\.\d+)?$/.test(text)) return nanoseconds(Number(text) * 1e9);
  const match = /^(-?)((?:\d+(?:\.\d+)?(?:ns|us|µs|μs|ms|s|m|h))+)$/.exec(text);
  if (!match) return undefined;
  let total = 0;
  for (const [, amount, unit] of (match[2] as string).matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|μs|ms|s|m|h)/g))
    total += Number(amount) * (units[unit as string] as number);
  return nanoseconds(match[1] === '-' ? -total : total);
}

function nanoseconds(value: number): string {
  return BigInt(Math.round(value)).toString();
}

/** A LIKE pattern for text that holds this one. */
export function containsPattern(text: string): string {
  return `%${text.replace(/[\\%_]/g, '\\$&')}%`;
}

/** A LIKE pattern as a caller wrote it; `term` is for the message. */
export function likePattern(text: string, term: string): string {
  if (/(?<!\\)(?:\\\\)*\\$/.test(text))
    throw invalidArgument(`filters: ${term}: the pattern ends in a backslash that escapes nothing; write two`);
  return text;
}
