import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManagedProcess } from './managed-process.js';
import { isAlive, signal } from './proc.js';
import { lineInLog } from './ready.js';

describe('ManagedProcess', () => {
  const folder = mkdtempSync(join(tmpdir(), 'aloft-managed-'));
  const log = join(folder, 'log');
  const managed: ManagedProcess[] = [];
  afterEach(() => Promise.all(managed.splice(0).map((each) => each.end(1_000))));
  afterAll(() => rmSync(folder, { recursive: true }));

  function of(script: string, onUnexpectedEnd?: (how: string) => void): ManagedProcess {
    const process_ = new ManagedProcess({
      name: 'it',
      command: process.execPath,
      args: ['-e', `${script}; setInterval(() => 0, 1000); console.log('ready')`],
      env: process.env,
      log,
      ready: lineInLog(log, /ready/, 20_000),
      onUnexpectedEnd,
    });
    managed.push(process_);
    return process_;
  }

  it('stays down after a kill until it is started', async () => {
    const unexpected: string[] = [];
    const it = of('', (how) => unexpected.push(how));
    await it.start();
    const first = it.pid as number;
    await it.kill();
    expect([isAlive(first), it.pid]).toEqual([false, undefined]);
    await it.start();
    expect(it.pid).not.toBe(first);
    expect(unexpected).toEqual([]);
  });

  it('comes back by itself when it ends by itself, and says so', async () => {
    let said: (how: string) => void = () => undefined;
    const how = new Promise<string>((resolve) => (said = resolve));
    const it = of('', (end) => said(end));
    await it.start();
    const first = it.pid as number;
    signal(first, 'SIGKILL');
    expect(await how).toBe('ended by SIGKILL');
    await it.settled();
    expect(it.alive && it.pid !== first).toBe(true);
  });

  it('is killed when it does not heed SIGTERM, and told so', async () => {
    const deaf = of("process.on('SIGTERM', () => console.log('no'))");
    await deaf.start();
    expect(await deaf.terminate(200)).toBe('had to be killed');
    const polite = of('');
    await polite.start();
    expect(await polite.terminate(10_000)).toBe('in good order');
    expect(readFileSync(log, 'utf8')).toContain('no');
  });

  it('keeps trying when its start fails', async () => {
    const marker = JSON.stringify(join(folder, 'tried'));
    const it = of(
      `const fs = require('fs'); if (!fs.existsSync(${marker})) { fs.writeFileSync(${marker}, ''); process.exit(3); }`,
    );
    await it.start();
    expect([it.alive, it.starts]).toEqual([true, 2]);
  });

  it('is paused and goes on', async () => {
    const it = of('');
    await it.start();
    expect(it.pause()).toBe(true);
    it.resume();
    expect(await it.terminate(10_000)).toBe('in good order');
  });
});
