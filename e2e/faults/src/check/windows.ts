import type { FaultRecord } from '../evidence/evidence.js';

/** While a fault may have had an effect: from its beginning until new work was done again. */
export interface Window {
  from: number;
  until: number;
  fault: FaultRecord;
}

/** Where recovery was never seen, this much after the fault's end. */
const assumedRecoveryMs = 10_000;

export function windowsOf(faults: readonly FaultRecord[]): Window[] {
  return faults
    .map((fault) => ({
      fault,
      from: fault.from,
      until: Math.max(fault.to ?? fault.from, fault.recoveredAt ?? (fault.to ?? fault.from) + assumedRecoveryMs),
    }))
    .sort((a, b) => a.from - b.from);
}

/** Those that overlap a span of time. */
export function during(windows: readonly Window[], from: number, until: number): Window[] {
  return windows.filter((window) => window.from <= until && window.until >= from);
}
