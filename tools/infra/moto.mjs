// AWS Batch (and SQS, CloudWatch Logs, IAM) on this machine: moto, whose jobs run as processes (moto/server.py).
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pythonEnvironment } from '../python.mjs';
import { freePort } from './ports.mjs';

const readyMs = 60_000;

/**
 * Starts a server on 127.0.0.1; resolves when it answers. `dir`: for its log. Everything it knows is in its memory.
 *
 * Returns `{ endpoint, region, pid, log, stop() }`.
 */
export async function start({ dir }) {
  const python = pythonEnvironment(join(import.meta.dirname, 'moto', 'requirements.txt'));
  const port = await freePort();
  const log = join(dir, 'moto.log');
  const output = openSync(log, 'a');
  const child = spawn(python, [join(import.meta.dirname, 'moto', 'server.py'), '-H', '127.0.0.1', '-p', `${port}`], {
    stdio: ['ignore', output, output],
    env: {
      ...process.env,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_DEFAULT_REGION: 'us-east-1',
      // A state lasts no longer than it must: it is looked at every half a second.
      MOTO_PORT: `${port}`,
    },
  });
  closeSync(output);
  const exited = new Promise((resolve) => child.once('exit', resolve));
  let gone = false;
  child.once('error', () => (gone = true));
  void exited.then(() => (gone = true));
  const endpoint = `http://127.0.0.1:${port}`;
  for (const until = Date.now() + readyMs; ; await delay(50)) {
    if (gone) throw new Error(`moto ended while it was starting; its log:\n${readFileSync(log, 'utf8')}`);
    const answered = await fetch(`${endpoint}/moto-api/data.json`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (answered) break;
    if (Date.now() > until) {
      child.kill('SIGKILL');
      throw new Error(`moto did not answer within ${readyMs / 1000} s; see ${log}`);
    }
  }
  return {
    endpoint,
    region: 'us-east-1',
    pid: child.pid,
    log,
    async stop() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
