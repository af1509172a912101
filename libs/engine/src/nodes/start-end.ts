import { succeed } from '../lifecycle/finish.js';
import { Step } from '../state/work-queue.js';
import type { NodeKind } from './kind.js';

/** The start node's outputs are its scope's inputs (C-10). */
export const startNode: NodeKind = {
  start(run, work) {
    work.inputs = work.scope.inputs;
    succeed(run, work, work.inputs);
  },
};

/** The end node's inputs are its scope's outputs; with it, the scope is done. */
export const endNode: NodeKind = {
  start(run, work) {
    succeed(run, work, work.inputs);
    run.work.push(Step.Settle, work.scope, -1);
  },
};
