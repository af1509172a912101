import chalk from 'chalk';
import Table from 'cli-table3';
import { toJson, type JsonValue } from '@aloft/idl/json';

export type OutputFormat = 'text' | 'json';

/** Something with a codec, as ts-proto generates it. */
interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
}

/** A message in the protobuf specification's JSON. */
export const messageJson = <T>(typeName: string, codec: Codec<T>, message: T): JsonValue =>
  toJson(typeName, codec.encode(message).finish(), { emitDefaults: false });

/** Where results go (stdout) and what is said about them (stderr, so that pipes get results only). */
export class Output {
  constructor(
    readonly format: OutputFormat,
    private readonly out: NodeJS.WritableStream = process.stdout,
    private readonly err: NodeJS.WritableStream = process.stderr,
  ) {}

  get isJson(): boolean {
    return this.format === 'json';
  }

  /** The result of a command: JSON for programs, text for people. */
  result(json: unknown, text: string): void {
    this.out.write(this.isJson ? `${JSON.stringify(json, undefined, 2)}\n` : `${text}\n`);
  }

  /** One of several results, as it comes: one JSON object a line, or text. */
  item(json: unknown, text: string): void {
    this.out.write(this.isJson ? `${JSON.stringify(json)}\n` : `${text}\n`);
  }

  raw(text: string | Uint8Array): void {
    this.out.write(text);
  }

  /** Progress and remarks. */
  say(text: string): void {
    this.err.write(`${text}\n`);
  }
}

export function table(head: string[], rows: string[][]): string {
  if (rows.length === 0) return chalk.dim('(none)');
  const formatted = new Table({
    head: head.map((title) => chalk.dim(title)),
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 2 },
    chars: Object.fromEntries(
      [
        'top',
        'top-mid',
        'top-left',
        'top-right',
        'bottom',
        'bottom-mid',
        'bottom-left',
        'bottom-right',
        'left',
        'left-mid',
        'mid',
        'mid-mid',
        'right',
        'right-mid',
        'middle',
      ].map((name) => [name, '']),
    ),
  });
  formatted.push(...rows);
  return formatted.toString();
}

interface ProtoTime {
  seconds: bigint;
  nanos: number;
}

export const millisecondsOf = (time: ProtoTime): number => Number(time.seconds) * 1000 + time.nanos / 1e6;

/** `0.4 s`, `12 s`, `3 m 05 s`, `2 h 07 m`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${two(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} m`;
}

export const formatTime = (time: ProtoTime | undefined): string =>
  time ? new Date(millisecondsOf(time)).toISOString().replace('T', ' ').slice(0, 19) : '';

export function colourPhase(phase: string): string {
  if (['SUCCEEDED', 'RECOVERED'].includes(phase)) return chalk.green(phase);
  if (['FAILED', 'FAILING', 'TIMED_OUT', 'RETRYABLE_FAILED'].includes(phase)) return chalk.red(phase);
  if (['ABORTED', 'ABORTING'].includes(phase)) return chalk.yellow(phase);
  if (['RUNNING', 'DYNAMIC_RUNNING', 'SUCCEEDING', 'INITIALIZING'].includes(phase)) return chalk.cyan(phase);
  return chalk.dim(phase);
}
