import type { HealthCheck } from '@aloft/telemetry';

/**
 * A check that many ask for: one runs at a time, and its good answer holds for `holdMs`. A part that does not answer is asked
 * once, however often the probes come.
 */
export function sharedCheck(check: () => Promise<unknown>, holdMs = 0): HealthCheck {
  let running: Promise<void> | undefined;
  let goodUntil = 0;
  return () => {
    if (Date.now() < goodUntil) return;
    running ??= Promise.resolve()
      .then(check)
      .then(() => {
        goodUntil = Date.now() + holdMs;
      })
      .finally(() => (running = undefined));
    return running;
  };
}
