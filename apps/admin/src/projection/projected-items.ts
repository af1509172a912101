import { arrayParameter, type Element, type ElementType, type Transaction } from '@aloft/database';
import type { ExecutionEvent, ItemPage } from '@aloft/idl/aloft/v1/bus';

interface ProjectedPage {
  executionId: bigint;
  nodeId: string;
  retryAttempt: number;
  page: ItemPage;
}

const columns: readonly (readonly [name: string, type: ElementType, cell: (row: ProjectedPage) => Element])[] = [
  ['execution_id', 'bigint', (p) => p.executionId],
  ['node_id', 'text', (p) => p.nodeId],
  ['retry_attempt', 'integer', (p) => p.retryAttempt],
  ['first_index', 'integer', (p) => p.page.firstIndex],
  ['states', 'bytea', (p) => p.page.states],
  ['attempts', 'bytea', (p) => p.page.attempts],
];

const upsert = {
  name: 'admin-project-items',
  text: `INSERT INTO array_items (${columns.map(([name]) => name).join(', ')})
SELECT * FROM unnest(${columns.map(([, type], i) => `$${i + 1}::${type}[]`).join(', ')})
ON CONFLICT (execution_id, node_id, retry_attempt, first_index) DO UPDATE SET states = excluded.states, attempts = excluded.attempts`,
};

/** What a batch of events tells of the items of large arrays (C-147): each page is written once, as it was told last. */
export class ProjectedItems {
  private readonly pages = new Map<string, ProjectedPage>();

  add(executionId: bigint, { event, itemPages }: ExecutionEvent): void {
    if (itemPages.length === 0 || event?.$case !== 'task') return;
    const { parentNodeExecutionId, retryAttempt } = event.value;
    const nodeId = parentNodeExecutionId?.nodeId ?? '';
    for (const page of itemPages)
      this.pages.set(`${executionId}\n${nodeId}\n${retryAttempt}\n${page.firstIndex}`, {
        ...{ executionId, nodeId, retryAttempt, page },
      });
  }

  save(tx: Transaction): void {
    const rows = [...this.pages.values()];
    if (rows.length === 0) return;
    tx.send(
      upsert,
      columns.map(([, type, cell]) => arrayParameter(type, rows.map(cell))),
    );
  }
}
