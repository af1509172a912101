import { parseQuantity } from '@aloft/backend-kit';
import { AloftError, type ErrorCode } from '@aloft/errors';
import type { V1Status } from '@kubernetes/client-node';

/**
 * What is in the way of a request that may well succeed later. `beyond`: it asks for more than the quota is altogether; `missing`: something that the
 * object names is not there.
 */
export type Obstacle = 'quota' | 'beyond' | 'throttled' | 'missing';

/** As admission plugins say it, and the API server of namespaces. */
const missing =
  /error looking up service account|no PriorityClass with name|RuntimeClass "[^"]*" not found|^namespaces "[^"]*" not found$/;

/** An answer of the API server that is no success. */
export class Refusal extends AloftError {
  constructor(
    code: ErrorCode,
    message: string,
    /** HTTP status. */
    readonly status: number,
    /** As the server names it: AlreadyExists, Forbidden, Expired … */
    readonly reason: string,
    readonly obstacle?: Obstacle,
    /** Milliseconds that the server wants to be left alone. */
    readonly retryAfterMs?: number,
  ) {
    super(code, message);
  }
}

/** `doing`: "creating the pod x of the namespace y". */
export function refusalOf(doing: string, status: number, body: string, retryAfter: string | undefined): Refusal {
  const { message = body.slice(0, 500), reason = '', details } = statusIn(body);
  const after = Number(retryAfter ?? details?.retryAfterSeconds ?? Number.NaN);
  const retryAfterMs = Number.isFinite(after) ? after * 1000 : undefined;
  const text = `${doing}: the cluster answers ${status}${reason ? ` ${reason}` : ''}: ${message.trim() || 'nothing else'}`;
  const make = (code: ErrorCode, obstacle?: Obstacle) =>
    new Refusal(code, text, status, reason, obstacle, retryAfterMs);
  if (status === 429) return make('RESOURCE_EXHAUSTED', 'throttled');
  if (status >= 500 || status === 408) return make('UNAVAILABLE');
  // The account of a quota that was just made is not drawn up yet.
  if (status === 403 && /exceeded quota|status unknown for quota/.test(message))
    return make('RESOURCE_EXHAUSTED', isBeyond(message) ? 'beyond' : 'quota');
  if ((status === 403 || status === 404) && missing.test(message)) return make('FAILED_PRECONDITION', 'missing');
  // Its objects go first; then it can be made again.
  if (status === 403 && /because it is being terminated/.test(message)) return make('UNAVAILABLE');
  switch (status) {
    case 401:
      // Tokens end, and are renewed.
      return make('UNAVAILABLE');
    case 403:
      return make('PERMISSION_DENIED');
    case 404:
      return make('NOT_FOUND');
    case 409:
      return make(reason === 'AlreadyExists' ? 'ALREADY_EXISTS' : 'ABORTED');
    case 410:
      return make('OUT_OF_RANGE');
    default:
      return make('INVALID_ARGUMENT');
  }
}

/** Whether an empty namespace would have no room for it either. Quotas of pods themselves are a way to halt a namespace, and are waited for. */
function isBeyond(message: string): boolean {
  const [, requested = '', limited = ''] = /requested: (\S+), used: \S+, limited: (\S+)/.exec(message) ?? [];
  const most = new Map(limited.split(',').map((amount) => amount.split('=') as [string, string]));
  return requested.split(',').some((amount) => {
    const [name = '', value = ''] = amount.split('=');
    const limit = most.get(name);
    if (limit === undefined || name === 'pods' || name.startsWith('count/')) return false;
    return parseQuantity(value) > parseQuantity(limit);
  });
}

function statusIn(body: string): V1Status {
  try {
    const parsed = JSON.parse(body) as V1Status;
    return typeof parsed === 'object' && parsed !== null ? parsed : {};
  } catch {
    return {};
  }
}
