/** Differences shown at most; a diff is for reading. */
const maxLines = 20;
const maxValueLength = 120;

/**
 * Readable difference of two decoded messages: one line a leaf, `path: old → new`, with fields in snake case as in the
 * protos.
 */
export function describeDifference(before: unknown, after: unknown): string {
  const lines: string[] = [];
  compare(before, after, '', lines);
  const shown = lines.slice(0, maxLines);
  if (lines.length > maxLines) shown.push(`… and ${lines.length - maxLines} more`);
  return shown.join('\n');
}

function compare(before: unknown, after: unknown, path: string, lines: string[]): void {
  if (Object.is(before, after)) return;
  if (isContainer(before) && isContainer(after) && Array.isArray(before) === Array.isArray(after)) {
    const oneof = oneofOf(before) ?? oneofOf(after);
    if (oneof && oneofOf(before)?.name === oneofOf(after)?.name)
      return compare(oneofOf(before)?.value, oneofOf(after)?.value, join(path, oneof.name), lines);
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    for (const key of keys) {
      const [old, now] = [(before as Record<string, unknown>)[key], (after as Record<string, unknown>)[key]];
      compare(old, now, Array.isArray(before) ? `${path}[${key}]` : join(path, key), lines);
    }
    return;
  }
  const [old, now] = [show(before), show(after)];
  if (old !== now) lines.push(`${path || 'value'}: ${old} → ${now}`);
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array);
}

function oneofOf(value: unknown): { name: string; value: unknown } | undefined {
  if (!isContainer(value) || !('$case' in value)) return undefined;
  return { name: String(value.$case), value: (value as { value?: unknown }).value };
}

function join(path: string, key: string): string {
  const name = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return path === '' ? name : `${path}.${name}`;
}

function show(value: unknown): string {
  if (value === undefined) return '(absent)';
  if (value instanceof Uint8Array) return `${value.length} bytes ${Buffer.from(value).toString('hex').slice(0, 32)}`;
  const text = JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'bigint'
      ? part.toString()
      : part instanceof Uint8Array
        ? Buffer.from(part).toString('base64')
        : part,
  );
  return text.length > maxValueLength ? `${text.slice(0, maxValueLength)}…` : text;
}
