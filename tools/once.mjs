// What is made once per machine (programs, environments) and may be asked for by several processes at the same time.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Runs `make` unless `isThere()`; one process at a time, by a lock file beside `target` (whose holder may have died). `make` must
 * leave the whole of it or nothing that `isThere` takes for it.
 */
export async function once(target, isThere, make) {
  const lock = `${target}.lock`;
  mkdirSync(dirname(target), { recursive: true });
  while (!isThere()) {
    if (!take(lock)) {
      await delay(200);
      continue;
    }
    try {
      if (!isThere()) await make();
    } finally {
      rmSync(lock, { force: true });
    }
  }
}

/** The folder `target`, with what `make(part)` put into `part`: the whole of it or nothing. */
export function whole(target, make) {
  const part = `${target}.${process.pid}`;
  return once(
    target,
    () => existsSync(target),
    async () => {
      try {
        mkdirSync(part);
        await make(part);
        renameSync(part, target);
      } finally {
        rmSync(part, { recursive: true, force: true });
      }
    },
  );
}

function take(lock) {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    if (isDead(lock)) discard(lock);
    return false;
  }
}

/** Takes the lock of a dead process out of the way; not one that somebody took meanwhile. */
function discard(lock) {
  const aside = `${lock}.${process.pid}`;
  try {
    renameSync(lock, aside);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  if (isDead(aside)) rmSync(aside, { force: true });
  else renameSync(aside, lock);
}

function isDead(lock) {
  let pid;
  try {
    pid = Number(readFileSync(lock, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return false;
    throw error;
  }
  // Nothing yet: it is being written.
  if (!pid) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}
