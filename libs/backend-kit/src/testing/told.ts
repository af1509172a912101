import type { BlobStore } from '@aloft/blob';
import { createLogger } from '@aloft/telemetry';
import type { AttemptContext, PhaseReport } from '../contract.js';
import { isTerminal } from '../outcome/phases.js';

/** An attempt's context as a host gives it, which keeps what it was told. */
export class Told implements AttemptContext {
  readonly logger = createLogger('attempt', { level: process.env['ALOFT_TEST_LOG'] ?? 'silent' });
  readonly restarts = 0;
  readonly reports: PhaseReport[] = [];
  remembered: Uint8Array | undefined;
  private waiters: (() => void)[] = [];

  constructor(readonly blob: BlobStore) {}

  holds(): boolean {
    return true;
  }

  async remember(state: Uint8Array): Promise<void> {
    this.remembered = state;
  }

  report(report: PhaseReport): void {
    this.reports.push(report);
    for (const wake of this.waiters.splice(0)) wake();
  }

  /** The first report like that. */
  async until(wanted: (report: PhaseReport) => boolean): Promise<PhaseReport> {
    for (;;) {
      const found = this.reports.find(wanted);
      if (found) return found;
      await new Promise<void>((resolve) => this.waiters.push(resolve));
    }
  }

  end(): Promise<PhaseReport> {
    return this.until(({ phase }) => isTerminal(phase));
  }
}

/** The error with which it ended. */
export function errorOf(report: Pick<PhaseReport, 'reason' | 'outcome'>) {
  const result = report.outcome?.result;
  if (result?.$case !== 'error') throw new Error(`no error: ${report.reason}`);
  return result.value;
}
