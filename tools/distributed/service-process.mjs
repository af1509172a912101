// One replica of a service: started, watched, started again when it dies.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const readyMs = 120_000;
const stopMs = 30_000;
const longestPauseMs = 5_000;
/** A process that lived for so long did not fail at its start. */
const livedMs = 20_000;

export class ServiceProcess {
  #child;
  #exited;
  #startedAt = 0;
  #failures = 0;
  #stopping = false;
  #again;

  /** `spec`: `{ name, replica, command, env, cwd, log, http, grpc? }`; `onChange` is called when its pid changes. */
  constructor(spec, { restart, onChange }) {
    this.spec = spec;
    this.restart = restart;
    this.onChange = onChange;
  }

  get pid() {
    return this.#child?.pid;
  }

  get id() {
    return `${this.spec.name}-${this.spec.replica}`;
  }

  launch() {
    const { command, env, cwd, log } = this.spec;
    const output = openSync(log, 'a');
    const [program, ...args] = command;
    this.#startedAt = Date.now();
    // A group of its own: Ctrl+C in a terminal is for the launcher, which stops the services in order.
    this.#child = spawn(program, args, { cwd, env, detached: true, stdio: ['ignore', output, output] });
    closeSync(output);
    this.#exited = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(error.message));
      this.#child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    void this.#exited.then((how) => this.#ended(how));
    this.onChange();
  }

  /** Resolves when /readyz says so; rejects with the end of its log when it ends again and again, or takes too long. */
  async ready() {
    let last = 'it did not answer';
    for (const until = Date.now() + readyMs; Date.now() < until; await delay(100)) {
      if (this.#stopping) throw new Error(`${this.id} was stopped`);
      if (this.#failures >= 3 || (this.#failures > 0 && !this.restart)) break;
      try {
        const response = await fetch(`${this.spec.http}/readyz`, { signal: AbortSignal.timeout(3_000) });
        if (response.ok) return;
        last = (await response.json()).checks
          .filter(({ ok }) => !ok)
          .map(({ name, reason }) => `${name}: ${reason}`)
          .join('; ');
      } catch {
        // Not listening yet, or too busy to answer.
      }
    }
    throw new Error(`${this.id} does not become ready (${last}); the end of ${this.spec.log}:\n${tail(this.spec.log)}`);
  }

  /** It is not started again from now on. */
  retire() {
    this.#stopping = true;
    clearTimeout(this.#again);
  }

  /** SIGTERM; SIGKILL when it takes longer than its own grace time would allow. */
  async stop() {
    this.retire();
    if (!this.#child || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGCONT');
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), stopMs);
    await this.#exited;
    clearTimeout(timer);
  }

  #ended(how) {
    if (this.#stopping) return;
    const lived = Date.now() - this.#startedAt;
    this.#failures = lived > livedMs ? 0 : this.#failures + 1;
    if (!this.restart) return void this.onChange();
    const pause = Math.min(100 * 2 ** this.#failures, longestPauseMs);
    console.log(`${this.id} ended (${how}); started again in ${pause} ms`);
    this.#again = setTimeout(() => this.launch(), pause);
  }
}

const tail = (file) => readFileSync(file, 'utf8').split('\n').slice(-25).join('\n');
