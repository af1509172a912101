import type { FaultRecord } from '../evidence/evidence.js';

/** Milliseconds from a kill, or from the end of any other fault, until new work was done. */
export function recoveryOf(fault: FaultRecord): number | undefined {
  const since = /^(kill|stop) /.test(fault.kind) ? fault.from : fault.to;
  return fault.recoveredAt === undefined || since === undefined ? undefined : Math.max(0, fault.recoveredAt - since);
}
