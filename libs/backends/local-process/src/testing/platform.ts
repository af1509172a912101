// A platform of its own process for tests that kill it: a host over the real backend whose table is a file. Arguments: folder,
// number of attempts. It launches what isn't known to have ended, notes every end, and says so.
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { attemptKey, isTerminal } from '@aloft/backend-kit';
import type { AttemptContext } from '@aloft/backend-kit';
import { encodeLiterals, integer, integerType, launchOf } from '@aloft/backend-kit/testing';
import { createLocalBlobStore } from '@aloft/blob';
import type { TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { createLogger } from '@aloft/telemetry';
import { LocalProcessBackend } from '../local-process-backend.js';
import { testOptions } from './shell-world.js';

const [dir = '', count = '0'] = process.argv.slice(2);
const ends = join(dir, 'ends');
const logger = createLogger('platform', { level: 'silent' });
const blob = createLocalBlobStore({ dir: join(dir, 'blob'), durable: false });
const plugin = new LocalProcessBackend(testOptions(dir), logger);
const done = new Set(
  (existsSync(ends) ? readFileSync(ends, 'utf8') : '').split('\n').map((line) => line.split(' ')[0]),
);
const seven = encodeLiterals({ x: integer(7) }).toString('base64');

const launches = Array.from({ length: Number(count) }, (_, i) => {
  const options = { name: `run1-n${i}-0`, outputs: { x: integerType } };
  const script = `echo "$2" >> "$3/starts"; sleep 0.$(( $2 % 4 )); echo ${seven} | base64 -d > "$1/outputs.pb"`;
  return launchOf({ ...options, args: ['sh', '-c', script, 'task', launchOf(options).outputPrefix, String(i), dir] });
}).filter(({ attempt }) => !done.has(attempt.name));

let open = launches.length;
const contextOf = (attempt: TaskAttempt): AttemptContext => ({
  blob,
  logger,
  restarts: 0,
  holds: () => true,
  remembered: undefined,
  remember: async () => undefined,
  report: ({ phase }) => {
    if (!isTerminal(phase)) return;
    appendFileSync(ends, `${attempt.name} ${TaskExecution_Phase[phase]}\n`);
    void plugin.forget([attempt]);
    if (--open === 0) void plugin.stop().then(() => process.exit(0));
  },
});

await plugin.start();
if (open === 0) await plugin.stop().then(() => process.exit(0));
const absent = await plugin.adopt(launches, contextOf, { exclusive: true });
const again = new Set(absent.map(attemptKey));
for (const launch of launches)
  if (again.has(attemptKey(launch.attempt))) void plugin.launch(launch, contextOf(launch.attempt));
