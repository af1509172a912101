import type { Action, Exchange } from '../proxy/http-proxy.js';
import type { Errand } from './part.js';

/** Answers a host's request as if the host had a bug; `undefined`: as without it. */
export type Plant = (exchange: Exchange, errand: Errand) => Action | undefined;

const well = (body: unknown): Action => ({ kind: 'answer', status: 200, body: JSON.stringify(body) });

/**
 * Bugs by hand, for proving that the checker finds them. They are planted on the wire: what a host would do wrong is done to its requests, and it
 * never knows.
 */
export const plants: Readonly<Record<string, Plant>> = {
  /** It does not look for the job of an attempt before it submits one. */
  'does not look': ({ path }) => (path.endsWith('listjobs') ? well({ jobSummaryList: [] }) : undefined),
  /** Its names are not the attempt's: whoever makes the object again does not find it there. */
  'names at random': (exchange, errand) => {
    if (errand !== 'submit' || !exchange.path.endsWith('/pods')) return undefined;
    const pod = JSON.parse(String(exchange.body)) as { metadata: { name: string } };
    pod.metadata.name += `-${Math.random().toString(36).slice(2, 7)}`;
    exchange.body = Buffer.from(JSON.stringify(pod));
    return undefined;
  },
  /** What is over, or aborted, is never deleted. */
  'does not end': (exchange, errand) => (errand === 'end' ? well({ kind: 'Status', status: 'Success' }) : undefined),
};
