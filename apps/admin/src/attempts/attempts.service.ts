import type { Database } from '@aloft/database';
import { invalidArgument } from '@aloft/errors';
import type {
  GetUsageRequest,
  GetUsageResponse,
  ListAttemptsRequest,
  ListAttemptsResponse,
} from '@aloft/idl/aloft/v1/attempts';
import { knownExecution } from '../executions/execution-lookup.js';
import type { ExecutionsRepository } from '../executions/executions.repository.js';
import { toAttempt } from './attempt-answers.js';
import type { AttemptPosition, AttemptsRepository } from './attempts.repository.js';
import { listLimit } from './list-limit.js';
import { UsageSums } from './usage-sums.js';

/** Rows of one statement while sums are made. */
const summedAtOnce = 5_000;

/** Where attempts went and why (U-23), and what they used (U-25). */
export class AttemptsService {
  constructor(
    private readonly database: Database,
    private readonly executions: ExecutionsRepository,
    private readonly attempts: AttemptsRepository,
  ) {}

  async list(request: ListAttemptsRequest): Promise<ListAttemptsResponse> {
    const { row } = await knownExecution(this.database, this.executions, request.id, 'id');
    const limit = listLimit(request.limit);
    const after = positionOf(request.token);
    const rows = await this.attempts.page(this.database, row.id, { nodeId: request.nodeId, after, limit });
    const last = rows.length === limit ? rows.at(-1) : undefined;
    return { attempts: rows.map(toAttempt), token: last ? `${last.retryAttempt}/${last.nodeId}` : '' };
  }

  /** Reads each attempt once, in pieces: what it holds is one sum a node. */
  async usage(request: GetUsageRequest, signal: AbortSignal): Promise<GetUsageResponse> {
    const { row } = await knownExecution(this.database, this.executions, request.id, 'id');
    const sums = new UsageSums(Date.now());
    for (let after: AttemptPosition | undefined; ;) {
      signal.throwIfAborted();
      const rows = await this.attempts.page(this.database, row.id, { nodeId: '', after, limit: summedAtOnce });
      for (const each of rows) sums.add(toAttempt(each));
      after = rows.length === summedAtOnce ? rows.at(-1) : undefined;
      if (!after) return sums.answer(listLimit(request.limit));
    }
  }
}

function positionOf(token: string): AttemptPosition | undefined {
  if (token === '') return undefined;
  const match = /^(\d{1,9})\/(.+)$/s.exec(token);
  if (!match) throw invalidArgument(`token: "${token}" is none of ours; use the token of the previous page`);
  return { retryAttempt: Number(match[1]), nodeId: match[2] as string };
}
