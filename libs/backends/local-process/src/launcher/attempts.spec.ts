import { spawn } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { attemptMark, attemptVariable } from './attempt-variable.js';
import { Attempts } from './attempts.js';
import { bootId } from './processes.js';
import type { LauncherEvent, LaunchSpec } from './protocol.js';

let root: string;
let events: LauncherEvent[];
const attempts = () => new Attempts(root, (event) => events.push(event), 10);
const spec = (id: string): LaunchSpec => ({ id, start: 'cold', argv: ['true'], env: {}, log: join(root, 'log') });

beforeEach(() => {
  root = join(mkdtempSync(join(tmpdir(), 'aloft-attempts-')), 'attempts');
  events = [];
});

test('C-33: an attempt that was told to have failed never begins, whoever asks again', () => {
  const first = attempts();
  first.begin(spec('a'));
  first.failed('a', 'Interrupted', 'It was lost.', false);
  const failed = { event: 'failed', id: 'a', code: 'Interrupted', message: 'It was lost.', user: false };
  expect(events).toEqual([failed]);

  const second = attempts();
  expect(second.begin(spec('a'))).toBeUndefined();
  expect(second.adopt('a')).toBe(true);
  expect(events).toEqual([failed, failed, failed]);
});

test('an attempt whose claim is just being written is adopted, not given up', async () => {
  const launcher = attempts();
  launcher.begin(spec('a'));
  const folder = launcher.folder('a');
  folder.create(spec('a'));
  openSync(folder.claim, 'wx'); // The other has made its claim …
  const waiting = launcher.claimedElsewhere('a');
  writeFileSync(folder.claim, `${bootId()}\n${readFileSync('/proc/self/stat', 'utf8')}`); // … and writes it now.
  await waiting;
  expect(events).toEqual([expect.objectContaining({ event: 'started', id: 'a', pid: process.pid })]);
});

test('an attempt whose claimant left no trace fails for good', async () => {
  const launcher = attempts();
  launcher.begin(spec('a'));
  await launcher.claimedElsewhere('a');
  expect(events).toEqual([expect.objectContaining({ event: 'failed', id: 'a', code: 'Interrupted', user: false })]);
  expect(attempts().adopt('a')).toBe(true);
});

test('what an attempt left behind that ended while nobody looked is ended, too', async () => {
  const env = { PATH: process.env['PATH'], [attemptVariable]: attemptMark('a', dirname(root)) };
  const left = spawn('sleep', ['60'], { env, detached: true, stdio: 'ignore' });
  const gone = new Promise((resolve) => left.once('exit', (_, signal) => resolve(signal)));
  const launcher = attempts();
  const folder = launcher.folder('a');
  folder.create(spec('a'));
  // Its first process is over: another has its number, and began later.
  const [before = '', after = ''] = readFileSync('/proc/self/stat', 'utf8').split(') ');
  const fields = after.split(' ');
  fields[19] = '1';
  writeFileSync(folder.claim, `${bootId()}\n${before}) ${fields.join(' ')}`);
  try {
    expect(launcher.adopt('a')).toBe(true);
    expect(events).toEqual([expect.objectContaining({ event: 'ended', id: 'a' })]);
    expect(await gone).toBe('SIGKILL');
  } finally {
    left.kill('SIGKILL');
    launcher.sampler.stop();
  }
});
