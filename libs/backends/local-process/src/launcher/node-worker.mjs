// A warm Node process for one task: it has loaded the SDK's executor and waits on its input for what to run.
// One process runs one task and ends; the next one is warmed meanwhile. With arguments it runs those at once (cold).
import { linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const executor = process.env.ALOFT_NODE_EXECUTOR;
delete process.env.ALOFT_NODE_EXECUTOR;
delete process.env.ALOFT_STANDBY;

/** Of several starts of one attempt only the first runs: this file says which. The claim is the supervising shell's. */
function claim() {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');
  const stat = readFileSync(`/proc/${process.ppid}/stat`, 'latin1');
  const own = `claim.${process.pid}`;
  writeFileSync(own, boot + stat);
  try {
    linkSync(own, 'claim');
  } catch {
    process.exit(97);
  } finally {
    unlinkSync(own);
  }
}

// A task that heeds its signal may end in good order before the process is killed.
const aborted = new AbortController();

async function run(argv) {
  process.once('SIGTERM', () => aborted.abort());
  try {
    const outcome = await main(argv, { signal: aborted.signal });
    // The verdict is in error.pb; a failed task is no failed process, as with flytekit.
    process.exit(outcome === 'failed' && process.env.FLYTE_FAIL_ON_ERROR === 'true' ? 1 : 0);
  } catch (error) {
    process.stderr.write(`${error?.stack ?? error}\n`);
    process.exit(2);
  }
}

const { main } = await import(executor);

if (process.argv.length > 2) {
  await run(process.argv.slice(2));
} else {
  const lines = createInterface({ input: process.stdin });
  const { value, done } = await lines[Symbol.asyncIterator]().next();
  // The launcher is gone, or the pool is closed: nothing to run.
  if (done) process.exit(0);
  lines.close();
  process.stdin.destroy();
  const { argv, env } = JSON.parse(value);
  claim();
  Object.assign(process.env, env);
  mkdirSync('code', { recursive: true });
  process.chdir('code');
  await run(argv);
}
