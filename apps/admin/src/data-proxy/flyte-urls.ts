import { invalidArgument } from '@aloft/errors';
import type { NameKey } from '../registry/identifiers.js';

/** What a `flyte://v1/…` URL names. */
export interface FlyteUrl {
  project: string;
  domain: string;
  execution: string;
  nodeId: string;
  attempt: number | undefined;
  kind: 'inputs' | 'outputs' | 'deck';
  /** One literal of the map; `undefined` = all. */
  variable: string | undefined;
}

const kinds = { i: 'inputs', o: 'outputs', d: 'deck' } as const;
const letters = { inputs: 'i', outputs: 'o', deck: 'd' } as const;
const form = 'flyte://v1/<project>/<domain>/<execution>/<node>[/<attempt>]/<i|o|d>[/<name>]';

/** K-29: INVALID_ARGUMENT with the form for anything else; a deck has no attempt and no name. */
export function parseFlyteUrl(url: string): FlyteUrl {
  const refuse = (why: string) => invalidArgument(`flyte_url: ${JSON.stringify(url)} ${why}; write ${form}`);
  const prefix = 'flyte://v1/';
  if (!url.startsWith(prefix)) throw refuse(`does not start with ${prefix}`);
  const [project = '', domain = '', execution = '', nodeId = '', ...rest] = url
    .slice(prefix.length)
    .split('/')
    .map(decode);
  if (project === '' || domain === '' || execution === '' || nodeId === '') throw refuse('lacks a part');
  let attempt: number | undefined;
  if (rest[0] !== undefined && /^\d{1,9}$/.test(rest[0])) attempt = Number(rest.shift());
  const [letter, variable, ...more] = rest;
  if (letter === undefined || !Object.hasOwn(kinds, letter))
    throw refuse('names neither inputs (i), outputs (o) nor deck (d)');
  if (more.length > 0 || variable === '') throw refuse('has too many parts');
  const kind = kinds[letter as keyof typeof kinds];
  if (kind === 'deck' && attempt !== undefined) throw refuse('names an attempt, but a deck belongs to its node');
  if (kind === 'deck' && variable !== undefined) throw refuse('names a variable, but a deck has none');
  return { project, domain, execution, nodeId, attempt, kind, variable };
}

/** `attempt` only for a task execution's. */
export function flyteUrl(execution: NameKey, nodeId: string, kind: FlyteUrl['kind'], attempt?: number): string {
  const parts = [
    execution.project,
    execution.domain,
    execution.name,
    nodeId,
    ...(attempt === undefined ? [] : [attempt]),
  ];
  return `flyte://v1/${parts.map((part) => encodeURIComponent(part)).join('/')}/${letters[kind]}`;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
