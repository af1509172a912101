import { userError } from '../data/failures.js';
import { fail } from '../lifecycle/finish.js';
import type { NodeKind } from './kind.js';

export const arrayNode: NodeKind = {
  start(run, work) {
    fail(run, work, userError(run, 'Unsupported', 'arrays are not there yet'));
  },
};
