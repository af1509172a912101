import { setTimeout as delay } from 'node:timers/promises';
import { type TaskAttempt, TaskReport } from '@aloft/idl/aloft/v1/bus';
import type { Logger } from '@aloft/telemetry';
import { requestOf } from '../capacity/quantity.js';
import type { BackendPlugin } from '../contract.js';
import { failure } from '../outcome/phases.js';
import { AttemptEntry } from './attempt-entry.js';
import { attemptKey, executionIn } from './attempt-key.js';
import type { Attempts } from './attempts.js';
import { launchIn, withoutPayload } from './command.js';
import type { WorkRow, WorkStore } from './work-store.js';

export interface IntakeOptions {
  plugin: BackendPlugin;
  store: WorkStore;
  attempts: Attempts;
  logger: Logger;
  /** The host's name. */
  name: string;
  isRunning(): boolean;
  /** A row of an attempt that is known here is surely this host's. */
  onStored(entry: AttemptEntry): void;
}

/** An attempt that has lost so many hosts may be why they are lost: the engine's budget decides from then on. */
const maxRestarts = 3;
/** Rows of waiting attempts that are taken in at once, and milliseconds until the next are: what runs comes first. */
const page = { rows: 250, pauseMs: 10 };
/** Until the next try, where the database does not answer. */
const retryMs = { first: 200, longest: 5_000 };

/**
 * Takes in rows that are this host's: at the start what an earlier process of its name left, later what other hosts lost. Of what was left, that
 * which may run comes first; a hundred thousand attempts that wait are taken in little by little, while those that have room run already.
 */
export class Intake {
  constructor(private readonly options: IntakeOptions) {}

  /**
   * Resolves when what may run is found again and the first of the rest have their turns; `rest` resolves when everything is taken in (or the
   * host runs no more).
   */
  async takeUp(): Promise<{ rest: Promise<void> | undefined }> {
    const { plugin, store, name } = this.options;
    const held = await store.held(name);
    const keys = held.map(({ key }) => key);
    const begun = new Set(plugin.begun ? await plugin.begun(held) : keys);
    await this.takeIn(await store.rows(name, [...begun]), 'exclusive');
    const waiting = inTurns(keys.filter((key) => !begun.has(key)));
    await this.takeIn(await this.page(waiting), 'earlier');
    return { rest: waiting.length > 0 ? this.takeRest(waiting) : undefined };
  }

  private async takeRest(waiting: string[]): Promise<void> {
    const { logger, isRunning } = this.options;
    logger.info({ attempts: waiting.length }, 'attempts that wait are taken in, little by little');
    for (let retry = retryMs.first; waiting.length > 0 && isRunning();) {
      try {
        const rows = await this.page(waiting);
        if (isRunning()) await this.takeIn(rows, 'earlier');
        retry = retryMs.first;
        await delay(page.pauseMs);
      } catch (error) {
        if (!isRunning()) return;
        logger.warn({ err: error, retry }, 'attempts that wait could not be taken in yet');
        await delay(retry);
        retry = Math.min(2 * retry, retryMs.longest);
      }
    }
  }

  /** The next rows; their keys are taken off the list once they are here. */
  private async page(waiting: string[]): Promise<WorkRow[]> {
    const keys = waiting.slice(0, page.rows);
    const rows = keys.length > 0 ? await this.options.store.rows(this.options.name, keys) : [];
    waiting.splice(0, keys.length);
    return rows;
  }

  /**
   * `exclusive`: an earlier process of the name left them, the plugin finds the work; `earlier`: it had not begun them; `adopt`: another
   * host's, the plugin finds the work; `again`: none of it runs anywhere.
   */
  async takeIn(rows: readonly WorkRow[], how: 'exclusive' | 'earlier' | 'adopt' | 'again'): Promise<void> {
    const found: AttemptEntry[] = [];
    const aborting: { entry: AttemptEntry; reason: string }[] = [];
    const { attempts, logger } = this.options;
    for (const row of rows) {
      const launch = launchIn(row);
      if (!launch) {
        logger.error({ key: row.key }, 'a row of the work table holds no launch; it is left out');
        continue;
      }
      const known = attempts.entries.get(row.key);
      if (known && known.generation > row.generation) continue;
      if (known?.generation === row.generation && (known.stored || known.queued)) {
        this.options.onStored(known);
        continue;
      }
      const entry = new AttemptEntry(withoutPayload(row.command), launch, requestOf(launch));
      entry.restarts = row.losses ?? 0;
      entry.remembered = row.remembered;
      entry.stored = true;
      const wasToEnd = this.takePlace(known, entry);
      const abortReason = row.abortReason ?? wasToEnd;
      attempts.entries.set(entry.key, entry);
      if (row.report) {
        entry.last = TaskReport.decode(row.report);
        entry.state = 'ended';
        entry.recorded = true;
        attempts.sendLast(entry);
      } else if (how === 'again' || how === 'earlier') this.begin(entry, abortReason, how === 'earlier');
      else {
        attempts.occupy(entry);
        if (abortReason === undefined) found.push(entry);
        else aborting.push({ entry, reason: abortReason });
      }
    }
    if (how === 'exclusive' || found.length > 0) await this.adopt(found, how === 'exclusive');
    for (const { entry, reason } of aborting) attempts.abort(entry, reason);
    attempts.startWhatFits();
  }

  /**
   * What was known of it makes way: an older generation, or the same one, heard here and never committed. That one was another host's since, which
   * may have begun or ended it: its row alone says so. Why it is to end, if so.
   */
  private takePlace(known: AttemptEntry | undefined, entry: AttemptEntry): string | undefined {
    const { attempts } = this.options;
    if (known?.generation !== entry.generation) {
      if (known) entry.after = attempts.supersede(known);
      return undefined;
    }
    entry.after = known.after;
    const { abortReason } = known;
    attempts.drop(known);
    return abortReason;
  }

  private begin(entry: AttemptEntry, abortReason: string | undefined, earlier: boolean): void {
    if (abortReason !== undefined) this.options.attempts.abort(entry, abortReason);
    else if (entry.restarts > maxRestarts)
      this.options.attempts.report(
        entry,
        failure({
          code: 'Interrupted',
          message: `The host that had this attempt was lost ${entry.restarts} times; it is not begun anew once more.`,
          kind: 'SYSTEM',
          retryable: true,
        }),
      );
    else this.options.attempts.offer(entry, earlier);
  }

  private async adopt(found: readonly AttemptEntry[], exclusive: boolean): Promise<void> {
    const { attempts, plugin } = this.options;
    const byKey = new Map(found.map((entry) => [entry.key, entry]));
    const absent = await plugin.adopt(
      found.map((entry) => entry.launch),
      (attempt: TaskAttempt) => attempts.contextOf(byKey.get(attemptKey(attempt)) as AttemptEntry),
      { exclusive },
    );
    const neverStarted = new Set(absent.map(attemptKey));
    for (const entry of found)
      if (neverStarted.has(entry.key) && entry.state === 'active' && entry.abortReason === undefined)
        attempts.requeue(entry);
  }
}

/** Executions take turns, as they do in the queue; within one the order stays. */
function inTurns(keys: readonly string[]): string[] {
  const lines = new Map<string, string[]>();
  for (const key of keys) {
    const execution = executionIn(key);
    const line = lines.get(execution);
    if (line) line.push(key);
    else lines.set(execution, [key]);
  }
  const turns: string[] = [];
  let open = [...lines.values()];
  for (let turn = 0; open.length > 0; turn++) {
    for (const line of open) turns.push(line[turn]!);
    open = open.filter(({ length }) => length > turn + 1);
  }
  return turns;
}
