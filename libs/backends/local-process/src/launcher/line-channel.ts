import type { Readable } from 'node:stream';

/** Calls back with each line of a stream, parsed as JSON. */
export function readJsonLines<T>(stream: Readable, onValue: (value: T) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') onValue(JSON.parse(line) as T);
  });
}
