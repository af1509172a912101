import type { TaskReport } from '@aloft/idl/aloft/v1/bus';
import { answersEnding } from '../lifecycle/ending.js';
import { goOn } from '../nodes/array-answers.js';
import { itemReported } from '../nodes/array-items.js';
import { taskReported as ofTask } from '../nodes/task.js';
import { Kind } from '../graph/graph.js';
import type { RunState } from '../state/run-state.js';

/** A backend's report, to the node whose attempt (or item) it is about; those of nodes that are over change nothing. */
export function taskReported(run: RunState, report: TaskReport): boolean {
  const work = run.find(report.attempt?.nodeId ?? '');
  if (!work || report.attempt?.executionUid !== run.start?.uid) return false;
  const answers = answersEnding(run, work, report);
  if (answers !== undefined) return answers;
  if (work.items) {
    if (!itemReported(run, work, work.items, report)) return false;
    goOn(run, work, work.items);
    return true;
  }
  return work.scope.template.kinds[work.node] === Kind.Task && ofTask(run, work, report);
}
