import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { historyScenarios } from './testing/history-scenarios.js';
import {
  decodeHistory,
  encodeHistory,
  plainOutcome,
  recordHistory,
  replayHistory,
} from './testing/recorded-history.js';

const folder = join(dirname(fileURLToPath(import.meta.url)), 'testing/histories');
const files = readdirSync(folder).filter((file) => file.endsWith('.bin'));
const read = (file: string) => decodeHistory(readFileSync(join(folder, file)));

describe('X-3: recorded histories replay under this version', () => {
  it.each(files)('%s comes to its events, effects and end', (file) => {
    const history = read(file);
    expect(plainOutcome(replayHistory(history))).toEqual(plainOutcome(history));
  });

  it.each(files)('%s does so over snapshots', (file) => {
    const history = read(file);
    expect(plainOutcome(replayHistory(history, 2))).toEqual(plainOutcome(history));
  });

  it('every scenario has its history; a new one is added by record-histories', () => {
    const recorded = new Set(files.map((file) => file.replace(/\.bin$/, '')));
    expect(historyScenarios().flatMap(({ name }) => (recorded.has(name) ? [] : [name]))).toEqual([]);
  });

  it('a history that came out otherwise is noticed', () => {
    const history = read('chain.bin');
    history.entries = history.entries.slice(0, -1);
    expect(plainOutcome(replayHistory(history))).not.toEqual(plainOutcome(history));
    const made = recordHistory(historyScenarios()[0]!.run(), 'chain', '');
    expect(plainOutcome(decodeHistory(encodeHistory(made)))).toEqual(plainOutcome(read('chain.bin')));
  });
});
