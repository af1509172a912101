import { mkdtemp, readFile, readdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parquetWriteBuffer } from 'hyparquet-writer';
import type { LocalNodeEvent } from '@aloft/sdk';
import { predictBoostedTrees, trainBoostedTrees } from './boosted-trees.js';
import { buildFeatures, featureNames } from './features.js';
import { pipeline } from './flight-delays.js';
import { readAirports, readFlights, type Flights } from './flights-data.js';
import { areaUnderRoc, calibration, logLoss, rocCurve } from './metrics.js';
import { randomFrom, sample } from './random.js';

const data = join(dirname(dirname(createRequire(import.meta.url).resolve('vega-datasets'))), 'data');
const airports = join(data, 'airports.csv');

/** The same flights as the big file, but only 20,000 of them: January to March. */
async function smallFlights(): Promise<string> {
  const rows = JSON.parse(await readFile(join(data, 'flights-20k.json'), 'utf8')) as Record<string, never>[];
  const path = join(await mkdtemp(join(tmpdir(), 'aloft-flights-')), 'flights.parquet');
  const numbers = (key: string) => BigInt64Array.from(rows, (row) => BigInt(row[key]!));
  const buffer = parquetWriteBuffer({
    columnData: [
      {
        name: 'date',
        data: rows.map((row) => new Date(`${String(row['date']).replaceAll('/', '-')}Z`)),
        type: 'TIMESTAMP',
      },
      { name: 'delay', data: numbers('delay'), type: 'INT64' },
      { name: 'distance', data: numbers('distance'), type: 'INT64' },
      { name: 'origin', data: rows.map((row) => row['origin']!), type: 'STRING' },
      { name: 'destination', data: rows.map((row) => row['destination']!), type: 'STRING' },
    ],
  });
  await writeFile(path, Buffer.from(buffer));
  return path;
}

describe('flight delays', () => {
  test('the pipeline runs locally; the second run comes out of the cache; a demanding goal takes the other branch', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'aloft-pipeline-'));
    const cache = new Map<string, Uint8Array>();
    const given = {
      flights: await smallFlights(),
      airports,
      rows: 20_000,
      validation_from: new Date('2001-03-01'),
      test_from: new Date('2001-03-16'),
      models: [
        { name: 'linear', kind: 'logistic' as const, size: 0, depth: 0, rate: 1, rows: 20_000 },
        { name: 'trees', kind: 'boosted' as const, size: 40, depth: 3, rate: 0.1, rows: 20_000 },
        { name: 'forest', kind: 'forest' as const, size: 2, depth: 3, rate: 0, rows: 400 },
      ],
    };
    const run = async (more: object = {}) => {
      const events: LocalNodeEvent[] = [];
      const result = await pipeline.local(
        { ...given, ...more },
        { folder, cache, onNode: (event) => events.push(event) },
      );
      return {
        result,
        events,
        of: (outcome: string) => events.filter((event) => event.outcome === outcome).map(({ node }) => node),
      };
    };

    const first = await run();
    expect(first.result.scores.map(({ name }) => name)).toEqual(['linear', 'trees', 'forest']);
    expect(first.result.choice.log_loss).toBe(Math.min(...first.result.scores.map(({ log_loss }) => log_loss)));
    expect(first.result.choice.gain).toBeGreaterThan(0.02);
    expect(first.result.evaluation.model).toBe(first.result.choice.name);
    expect(first.result.evaluation.log_loss).toBeLessThan(first.result.evaluation.baseline_log_loss);
    expect(first.of('succeeded')).toHaveLength(10);
    expect(first.of('skipped')).toEqual(['n6']);
    const deck = await readFile(join(folder, 'deck-n7.html'), 'utf8');
    expect(deck.match(/<svg/g)).toHaveLength(5);
    expect(await readdir(folder)).toContain('deck-n0-n2.html');

    const second = await run();
    expect(second.of('cached')).toHaveLength(10);
    expect(second.of('succeeded')).toEqual([]);
    expect(second.result.evaluation).toEqual(first.result.evaluation);

    const demanding = await run({ least_gain: 0.9 });
    expect(demanding.result.evaluation.model).toBe('baseline');
    expect(demanding.result.evaluation.auc).toBe(0.5);
    expect(demanding.of('skipped')).toEqual(['n5']);
  }, 120_000);

  test('features know nothing of what comes later', async () => {
    const flights = await readFlights(await smallFlights());
    const places = await readAirports(airports);
    const rows = sample(flights.departure.length, 2_000, 1);
    const before = buildFeatures(flights, places, rows);
    // Every flight that has not surely landed by noon of 1 February gets another delay.
    const noon = Date.UTC(2001, 1, 1, 12) / 60_000;
    const changed: Flights = {
      ...flights,
      delay: flights.delay.map((delay, row) => (flights.departure[row]! >= noon - 60 ? delay + 300 : delay)),
    };
    const after = buildFeatures(changed, places, rows);
    const day = before.values[0]!;
    const minute = before.values[1]!;
    const features = featureNames.map((name) => before.columns.indexOf(name));
    let compared = 0;
    for (let row = 0; row < before.rows; row++)
      if (day[row]! * 1440 + minute[row]! <= noon) {
        compared++;
        for (const column of features) expect(after.values[column]![row]).toBe(before.values[column]![row]);
      }
    expect(compared).toBeGreaterThan(500);
  });

  test('boosted trees learn what lines cannot', () => {
    const random = randomFrom(3);
    const rows = Array.from({ length: 4_000 }, () => [random(), random()]);
    const target = rows.map(([a, b]) => (a! > 0.5 !== b! > 0.5 ? 1 : 0));
    const model = trainBoostedTrees(rows, target, {
      rounds: 40,
      learningRate: 0.3,
      maxDepth: 3,
      minLeaf: 20,
      regularisation: 1,
      subsample: 0.8,
      seed: 1,
    });
    const predicted = rows.map((row) => predictBoostedTrees(model, row));
    expect(logLoss(predicted, target)).toBeLessThan(0.1);
  });

  test('metrics are those of the textbook', () => {
    expect(logLoss([0.5, 0.5], [0, 1])).toBeCloseTo(Math.LN2);
    expect(areaUnderRoc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])).toBe(0.75);
    expect(areaUnderRoc([0.5, 0.5, 0.5], [0, 1, 0])).toBe(0.5);
    expect(rocCurve([0.9, 0.1], [1, 0]).at(-1)).toEqual({ falsePositives: 1, truePositives: 1 });
    expect(calibration([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], 2).map(({ observed }) => observed)).toEqual([0, 1]);
  });
});
