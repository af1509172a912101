import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { standbyMark, standbyVariable } from './attempt-variable.js';
import { replacePredecessor } from './predecessor.js';
import { bootId } from './processes.js';

let workDir: string;
let children: ChildProcess[] = [];

beforeEach(() => {
  workDir = mkdtempSync(join(tmpdir(), 'aloft-predecessor-'));
});

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
  await rm(workDir, { recursive: true, force: true });
});

/** A process that stands by for a work folder, as a shell or worker does. */
function standby(folder: string): number {
  const env = { PATH: process.env['PATH'], [standbyVariable]: standbyMark(folder) };
  const child = spawn('sleep', ['60'], { env, detached: true, stdio: 'ignore' });
  children.push(child);
  return child.pid as number;
}

const stateOf = (pid: number) => children.find((child) => child.pid === pid)?.signalCode;

test('C-33: what stood by for an earlier launcher begins nothing any more; what claimed an attempt goes on', async () => {
  const idle = standby(workDir);
  const claimant = standby(workDir);
  const elsewhere = standby(join(workDir, 'another'));
  mkdirSync(join(workDir, 'attempts', 'a'), { recursive: true });
  writeFileSync(
    join(workDir, 'attempts', 'a', 'claim'),
    `${bootId()}\n${readFileSync(`/proc/${claimant}/stat`, 'utf8')}`,
  );
  await replacePredecessor(workDir);
  expect(readFileSync(join(workDir, 'launcher'), 'utf8')).toMatch(`${process.pid} `);
  await new Promise((resolve) => setImmediate(resolve));
  expect([idle, claimant, elsewhere].map(stateOf)).toEqual(['SIGKILL', null, null]);
});

test('a launcher that has not left yet is ended', async () => {
  const pid = standby(join(workDir, 'another'));
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  writeFileSync(join(workDir, 'launcher'), `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`);
  await replacePredecessor(workDir);
  await new Promise((resolve) => setImmediate(resolve));
  expect(stateOf(pid)).toBe('SIGKILL');
});
