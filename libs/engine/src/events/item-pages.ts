import { ItemPage } from '@aloft/idl/aloft/v1/bus';
import { Behaviour, behaves } from '../behaviours.js';
import { itemsPerPage, type ArrayItems } from '../state/array-items.js';
import type { RunState } from '../state/run-state.js';

/** Most pages in one event: together they are 250 KB. */
const pagesPerEvent = 200;

/** Items beyond these are told of in pages, and those with them; what they wrote and had logged is not (C-144, C-147). */
export const listedItems = 5000;

const tellsPages = (run: RunState, { size }: ArrayItems) => size > listedItems && behaves(run, Behaviour.TellsItems);

/** More pages changed than fit into one event. */
export const pagesOverflow = (run: RunState, items: ArrayItems): boolean =>
  tellsPages(run, items) && items.changedPages.size > pagesPerEvent;

/** Pages that changed and no event has told of, in their order; at most as many as fit into one. */
export function takeItemPages(run: RunState, items: ArrayItems): ItemPage[] {
  if (!tellsPages(run, items)) {
    items.changedPages.clear();
    return [];
  }
  const taken = [...items.changedPages].sort((a, b) => a - b).slice(0, pagesPerEvent);
  for (const page of taken) items.changedPages.delete(page);
  return taken.map((page) => pageOf(items, page));
}

function pageOf(items: ArrayItems, page: number): ItemPage {
  const from = page * itemsPerPage;
  const to = Math.min(items.size, from + itemsPerPage);
  const attempts = items.attempts.subarray(from, to);
  return ItemPage.create({
    firstIndex: from,
    states: Buffer.from(items.states.bytes.subarray(from >>> 2, (to + 3) >>> 2)),
    attempts: attempts.some((attempt) => attempt > 0) ? Buffer.from(attempts) : Buffer.alloc(0),
  });
}
