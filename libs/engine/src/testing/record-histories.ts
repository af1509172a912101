// node libs/engine/dist/testing/record-histories.js: adds to src/testing/histories what history-scenarios.ts has and the folder
// lacks. What is there stays: an entry is never recorded again.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { historyScenarios } from './history-scenarios.js';
import { encodeHistory, recordHistory } from './recorded-history.js';

const folder = join(dirname(fileURLToPath(import.meta.url)), '../../src/testing/histories');
mkdirSync(folder, { recursive: true });
let added = 0;
for (const { name, description, run } of historyScenarios()) {
  const file = join(folder, `${name}.bin`);
  if (existsSync(file)) continue;
  writeFileSync(file, encodeHistory(recordHistory(run(), name, description)));
  added++;
}
console.log(
  added === 0 ? 'nothing to record: every scenario has its history' : `${added} histories recorded in ${folder}`,
);
