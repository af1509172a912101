import { mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Attempts } from './attempts.js';
import { ColdStarts } from './cold-starts.js';
import type { LauncherEvent, LaunchSpec } from './protocol.js';

const base = { PATH: process.env['PATH'] ?? '', HOME: '/nowhere', SURPLUS: 'of the shell alone' };

let workDir: string;
let attempts: Attempts;
let starts: ColdStarts;
let heard: (event: LauncherEvent) => void;

beforeEach(() => {
  workDir = mkdtempSync(join(tmpdir(), 'aloft-cold-'));
  mkdirSync(join(workDir, 'attempts'));
  const emit = (event: LauncherEvent) => heard(event);
  attempts = new Attempts(join(workDir, 'attempts'), emit, 10);
  starts = new ColdStarts(attempts, { env: base, workDir, emit });
});

afterEach(async () => {
  starts.stop();
  attempts.sampler.stop();
  await rm(workDir, { recursive: true, force: true, maxRetries: 3 });
});

/** Runs it: what it wrote, and how it ended. */
async function run(id: string, argv: string[], env: Record<string, string>) {
  const spec: LaunchSpec = { id, start: 'cold', argv, env, log: join(workDir, 'logs', id) };
  const ended = new Promise<LauncherEvent>((resolve) => {
    heard = (event) => {
      if (event.event === 'ended' || event.event === 'failed') resolve(event);
    };
  });
  attempts.begin(spec);
  const folder = attempts.folder(id);
  folder.create(spec);
  starts.start(spec);
  const event = await ended;
  return { event, text: readFileSync(spec.log, 'utf8').replaceAll(folder.path, '<folder>') };
}

/** Processes that have the shells' environment as they were started. */
const shells = () =>
  readdirSync('/proc').filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes('of the shell alone');
    } catch {
      return false;
    }
  });

test('a shell that waited gives its attempt what a new one would: environment, arguments, folder, input and output', async () => {
  const { SURPLUS: _, ...given } = base;
  const env = {
    ...given,
    QUOTES: `it's "$HOME" \`pwd\` \\n`,
    LINES: 'one\ntwo\n\n',
    TEXT: 'ā日本\u0081 \u{1f680}',
    EMPTY: '',
  };
  const script = `env | sort; pwd; printf '<%s>\\n' "$@"; readlink /proc/self/fd/0; ls /proc/self/fd | wc -l; echo wrong >&2; exit 3`;
  const argv = ['sh', '-c', script, 'task', `it's`, '', 'two\nlines', '$HOME'];
  const asNew = await run('new', argv, env);
  starts.fill();
  expect(shells()).toHaveLength(2);
  const asWaiting = await run('waited', argv, env);
  expect(asWaiting.text).toBe(asNew.text);
  expect(asWaiting.text).toContain('<folder>/code');
  expect(asWaiting.event).toMatchObject({ event: 'ended', exit: { code: 3 } });
});

test('what cannot be said to a shell is started by a new process', async () => {
  starts.fill();
  const before = shells();
  const { event } = await run('odd', ['true'], { ...base, IFS: 'x', 'not.a-name': '1' });
  expect(event).toMatchObject({ event: 'ended', exit: { code: 0 } });
  expect(shells()).toEqual(before);
});

test('shells that wait leave with their launcher', async () => {
  starts.fill();
  expect(shells()).toHaveLength(2);
  starts.stop();
  while (shells().length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
});
