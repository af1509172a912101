/** Trailing metadata of a good answer (gRPC) or header of it (HTTP), once for each: what its caller should know, though it was done. */
export const warningHeader = 'aloft-warning';

const longest = 500;

/** Headers are printable ASCII: other characters as in JSON, at most 500 in all. */
export function asWarning(message: string): string {
  return message
    .slice(0, longest)
    .replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .slice(0, longest);
}
