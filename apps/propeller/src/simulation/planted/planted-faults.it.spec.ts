import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';
import { mutations } from './mutations.js';

// Not an outside server, but minutes of work: among the integration tests for their time.
it('the simulation catches every planted fault', async () => {
  const script = fileURLToPath(new URL('../../../dist/simulation/planted/planted-faults.js', import.meta.url));
  const { NODE_OPTIONS: _, ...env } = process.env;
  const child = spawn(process.execPath, [script], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await once(child, 'close');
  expect(output.trimEnd().split('\n').at(-1)).toBe(
    `${mutations.length} of ${mutations.length} planted faults were caught`,
  );
}, 1_800_000);
