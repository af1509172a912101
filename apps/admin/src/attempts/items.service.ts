import type { Database } from '@aloft/database';
import { itemsPerPage } from '@aloft/engine';
import { failedPrecondition, invalidArgument, notFound } from '@aloft/errors';
import type { Item, ListItemsRequest, ListItemsResponse } from '@aloft/idl/aloft/v1/attempts';
import type { ItemPage } from '@aloft/idl/aloft/v1/bus';
import { TaskExecutionClosure } from '@aloft/idl/flyteidl/admin/task_execution';
import { TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { knownExecution } from '../executions/execution-lookup.js';
import type { ExecutionsRepository } from '../executions/executions.repository.js';
import { ArrayItems, sumsOf } from './array-items.js';
import type { AttemptsRepository } from './attempts.repository.js';
import { listLimit } from './list-limit.js';

/** Stored pages of one statement. */
const pagesAtOnce = 100;

/** Items of arrays in pages, however many an array has (C-147). */
export class ItemsService {
  constructor(
    private readonly database: Database,
    private readonly executions: ExecutionsRepository,
    private readonly attempts: AttemptsRepository,
  ) {}

  async list(request: ListItemsRequest, signal: AbortSignal): Promise<ListItemsResponse> {
    const { nodeId, limit, token } = request;
    if (nodeId === '') throw invalidArgument("node_id: the array node's unique id is needed, such as n0");
    const from = firstOf(token);
    const phases = new Set(request.phases.map(requirePhase));
    const { row } = await knownExecution(this.database, this.executions, request.id, 'id');
    const attempt = await this.attempts.closureOf(this.database, row.id, nodeId, request.retryAttempt);
    if (!attempt) throw notFound(`node_id: node "${nodeId}" has no such attempt`);
    const closure = TaskExecutionClosure.decode(attempt.closure);
    const sums = sumsOf(closure);
    if (!sums) throw failedPrecondition(`node_id: node "${nodeId}" is no array: it has no items`);
    const wanted = listLimit(limit);
    const items: Item[] = [];
    const all = new ArrayItems(closure, sums);
    const { retryAttempt } = attempt;
    search: for await (const [first, page] of this.pages(row.id, { nodeId, retryAttempt }, from, sums.size)) {
      signal.throwIfAborted();
      for (const item of all.between(Math.max(first, from), first + itemsPerPage, page, phases)) {
        items.push(item);
        if (items.length === wanted) break search;
      }
    }
    const next = (items.at(-1)?.index ?? 0) + 1;
    return { ...sums, items, token: items.length === wanted && next < sums.size ? String(next) : '' };
  }

  /** Index of each page's first item, with the page if one is stored. */
  private async *pages(
    executionId: bigint,
    attempt: { nodeId: string; retryAttempt: number },
    from: number,
    size: number,
  ): AsyncGenerator<[number, ItemPage | undefined]> {
    for (let first = from - (from % itemsPerPage); first < size; first += pagesAtOnce * itemsPerPage) {
      const stored = await this.attempts.itemPages(this.database, executionId, attempt, {
        ...{ from: first, limit: pagesAtOnce },
      });
      const byFirst = new Map(stored.map((page) => [page.firstIndex, page]));
      for (let at = first; at < Math.min(size, first + pagesAtOnce * itemsPerPage); at += itemsPerPage)
        yield [at, byFirst.get(at)];
    }
  }
}

function firstOf(token: string): number {
  if (!/^\d{0,9}$/.test(token))
    throw invalidArgument(`token: "${token}" is none of ours; use the token of the previous page, or an item's index`);
  return Number(token);
}

function requirePhase(phase: TaskExecution_Phase): TaskExecution_Phase {
  if (TaskExecution_Phase[phase] === undefined) throw invalidArgument(`phases: there is no phase ${phase}`);
  return phase;
}
