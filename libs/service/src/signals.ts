import type { Logger } from '@aloft/telemetry';
import type { Shutdown } from './shutdown.js';

export interface SignalOptions {
  logger: Logger;
  shutdown: Shutdown;
  /** The start that may still be under way: what it opens is closed too. */
  starting: Promise<unknown>;
}

/** One Ctrl+C may come twice: from the terminal, and passed on by npm. */
const sameMs = 1_000;

/** SIGTERM, SIGINT or SIGHUP: the shutdown, then exit 0. Another one later ends the process at once, with exit code 1. */
export function endOnSignals({ logger, shutdown, starting }: SignalOptions): void {
  let since: number | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (since !== undefined) {
      if (Date.now() - since < sameMs) return;
      logger.warn({ signal }, 'stopping at once');
      process.exit(1);
    }
    since = Date.now();
    logger.info({ signal, graceMs: shutdown.graceMs }, 'stopping');
    void stop(shutdown, starting).then((troubled) => {
      if (troubled.length > 0) logger.warn({ troubled }, 'stopped, but not cleanly');
      else logger.info('stopped');
      process.exit(0);
    });
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, onSignal);
}

async function stop(shutdown: Shutdown, starting: Promise<unknown>): Promise<string[]> {
  shutdown.begin();
  const late = new Promise<void>((resolve) => setTimeout(resolve, shutdown.graceMs).unref());
  await Promise.race([starting, late]).catch(() => undefined);
  return shutdown.run();
}
