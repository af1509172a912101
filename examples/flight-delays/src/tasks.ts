import { writeFile } from 'node:fs/promises';
import { escapeHtml, FlyteFile, t, task } from '@aloft/sdk';
import type { HourShare, Importance } from './charts.js';
import { buildFeatures, featureNames } from './features.js';
import {
  dayColumn,
  examplesOf,
  filterTable,
  pickFlights,
  possibleRows,
  readAirports,
  readFlights,
  readTable,
  targetColumn,
  writeTable,
} from './flights-data.js';
import {
  areaUnderRoc,
  brierScore,
  calibration,
  logLoss,
  rocCurve,
  type CalibrationBin,
  type RocPoint,
} from './metrics.js';
import { predict, trainModel as fit, type Model } from './models.js';
import { randomFrom, sample } from './random.js';

const cache = { version: '1' };
const seed = 20_010_101;

export const modelConfig = t.struct({
  name: t.string,
  kind: t.enum(['logistic', 'forest', 'boosted']),
  size: t.int,
  depth: t.int,
  rate: t.float,
  rows: t.int,
});

export const summary = t.struct({
  flights: t.int,
  dropped: t.int,
  sampled: t.int,
  from: t.string,
  to: t.string,
  late_share: t.float,
});

export const score = t.struct({ name: t.string, log_loss: t.float, auc: t.float });

export const choice = t.struct({
  name: t.string,
  log_loss: t.float,
  baseline_log_loss: t.float,
  /** Share of the baseline's log loss that the model saves, on validation flights. */
  gain: t.float,
});

export const evaluation = t.struct({
  model: t.string,
  flights: t.int,
  log_loss: t.float,
  baseline_log_loss: t.float,
  auc: t.float,
  brier: t.float,
});

const dateOf = (day: number): string => new Date(day * 86_400_000).toISOString().slice(0, 10);

/** Reads all flights, drops impossible ones, and makes the features of a sample of them. */
export const load = task(
  {
    description: 'Flights with what was known at departure',
    inputs: {
      flights: t.file('parquet').describe('flights-3m.parquet of vega-datasets'),
      airports: t.file('csv').describe('airports.csv of vega-datasets'),
      rows: t.int.describe('flights to sample'),
    },
    outputs: { table: t.file('parquet'), summary },
    cache,
    resources: { cpu: 1, memory: '1Gi' },
  },
  async ({ flights: file, airports, rows }, { file: path }) => {
    const places = await readAirports(await airports.path());
    const all = await readFlights(await file.path());
    const possible = possibleRows(all, places);
    const flights = pickFlights(all, possible);
    // The features of a sampled flight count every flight around it, sampled or not.
    const table = buildFeatures(flights, places, sample(flights.departure.length, rows, seed));
    await writeTable(path('table.parquet'), table);
    const days = table.values[table.columns.indexOf(dayColumn)]!;
    const late = table.values[table.columns.indexOf(targetColumn)]!;
    return {
      table: new FlyteFile(path('table.parquet')),
      summary: {
        flights: all.departure.length,
        dropped: all.departure.length - possible.length,
        sampled: table.rows,
        from: dateOf(days.reduce((a, b) => Math.min(a, b), Infinity)),
        to: dateOf(days.reduce((a, b) => Math.max(a, b), -Infinity)),
        late_share: late.reduce((a, b) => a + b, 0) / table.rows,
      },
    };
  },
);

/** Splits by time, so that no model sees anything of the days it is judged by. */
export const split = task(
  {
    description: 'Earlier days to learn from, later ones to judge by',
    inputs: {
      table: t.file('parquet'),
      validation_from: t.datetime,
      test_from: t.datetime,
    },
    outputs: { training: t.file('parquet'), validation: t.file('parquet'), test: t.file('parquet') },
    cache,
  },
  async ({ table: file, validation_from, test_from }, { file: path }) => {
    const table = await readTable(await file.path());
    const day = table.values[table.columns.indexOf(dayColumn)]!;
    const [validation, test] = [validation_from, test_from].map((date) => date.getTime() / 86_400_000) as [
      number,
      number,
    ];
    const parts = {
      training: filterTable(table, (row) => day[row]! < validation),
      validation: filterTable(table, (row) => day[row]! >= validation && day[row]! < test),
      test: filterTable(table, (row) => day[row]! >= test),
    };
    for (const [name, part] of Object.entries(parts)) {
      if (part.rows < 100)
        throw new Error(
          `The ${name} part has ${part.rows} flights; sample more, or move validation_from and test_from.`,
        );
      await writeTable(path(`${name}.parquet`), part);
    }
    return {
      training: new FlyteFile(path('training.parquet')),
      validation: new FlyteFile(path('validation.parquet')),
      test: new FlyteFile(path('test.parquet')),
    };
  },
);

/** Share of late flights by hour: something to look at before any model. */
export const profile = task(
  {
    description: 'How lateness goes over the day',
    inputs: { table: t.file('parquet') },
    outputs: { late_by_hour: t.list(t.float) },
    cache,
    deck: true,
  },
  async ({ table }, { deck }) => {
    const { names, features, late } = examplesOf(await readTable(await table.path()));
    const minute = names.indexOf('minute_of_day');
    // Loaded where it is used: most tasks draw nothing, and a bundle's parts load on their own.
    const { hourChart } = await import('./charts.js');
    const hours = shareByHour(
      features.map((row) => row[minute]!),
      late,
    );
    deck.add(
      'Late flights by hour of departure',
      await hourChart(hours.map((observed, hour) => ({ hour, observed, predicted: observed }))),
    );
    return { late_by_hour: hours };
  },
);

/** What a model must beat: everybody gets the share of late flights of the training days. */
export const baseline = task(
  {
    description: 'The same probability for every flight',
    inputs: { training: t.file('parquet'), validation: t.file('parquet') },
    outputs: { model: t.file('json'), score },
    cache,
  },
  async ({ training, validation }, { file }) => {
    const { late } = examplesOf(await readTable(await training.path()));
    const model: Model = { kind: 'constant', probability: late.reduce((a, b) => a + b, 0) / late.length };
    return { model: await save(model, file('baseline.json')), score: await judge('baseline', model, validation) };
  },
);

export const trainModel = task(
  {
    description: 'One candidate, trained and scored',
    inputs: { config: modelConfig, training: t.file('parquet'), validation: t.file('parquet') },
    outputs: { model: t.file('json'), score },
    cache,
    resources: { cpu: 1, memory: '1Gi' },
    retries: 1,
  },
  async ({ config, training, validation }, { file }) => {
    const { features, late } = examplesOf(await readTable(await training.path()));
    const model = fit(config, features, late, seed);
    return {
      model: await save(model, file(`${config.name}.json`)),
      score: await judge(config.name, model, validation),
    };
  },
);

export const chooseBest = task(
  {
    description: 'The candidate with the least log loss on validation flights',
    inputs: { models: t.list(t.file('json')), scores: t.list(score), baseline: score },
    outputs: { model: t.file('json'), choice },
    cache,
  },
  ({ models, scores, baseline: base }) => {
    const best = scores.reduce((a, b, i) => (b.log_loss < scores[a]!.log_loss ? i : a), 0);
    const { name, log_loss } = scores[best]!;
    return {
      model: models[best]!,
      choice: { name, log_loss, baseline_log_loss: base.log_loss, gain: 1 - log_loss / base.log_loss },
    };
  },
);

/** What the report draws. */
interface Curves {
  roc: RocPoint[];
  calibration: CalibrationBin[];
  hours: HourShare[];
  importance: Importance[];
}

export const evaluate = task(
  {
    description: 'The model on flights that nothing has seen',
    inputs: { name: t.string, model: t.file('json'), training: t.file('parquet'), test: t.file('parquet') },
    outputs: { evaluation, curves: t.file('json') },
    cache,
  },
  async ({ name, model: file, training, test }, { file: path }) => {
    const model = await file.json<Model>();
    const { names, features, late } = examplesOf(await readTable(await test.path()));
    const past = examplesOf(await readTable(await training.path())).late;
    const rate = past.reduce((a, b) => a + b, 0) / past.length;
    const predicted = predict(model, features);
    const minutes = features.map((row) => row[names.indexOf('minute_of_day')]!);
    const [observed, expected] = [late, predicted].map((values) => shareByHour(minutes, values)) as [
      number[],
      number[],
    ];
    const loss = logLoss(predicted, late);
    const curves: Curves = {
      roc: rocCurve(predicted, late),
      calibration: calibration(predicted, late),
      hours: observed.map((share, hour) => ({ hour, observed: share, predicted: expected[hour]! })),
      importance: featureNames.map((feature, column) => ({
        feature,
        increase: logLoss(predict(model, shuffled(features, column)), late) - loss,
      })),
    };
    await writeFile(path('curves.json'), JSON.stringify(curves));
    return {
      evaluation: {
        model: name,
        flights: late.length,
        log_loss: loss,
        baseline_log_loss: logLoss(new Float64Array(late.length).fill(rate), late),
        auc: areaUnderRoc(predicted, late),
        brier: brierScore(predicted, late),
      },
      curves: new FlyteFile(path('curves.json')),
    };
  },
);

export const report = task(
  {
    description: 'A page for people',
    inputs: { summary, scores: t.list(score), choice, evaluation, curves: t.file('json') },
    outputs: { page: t.file('html') },
    cache,
    deck: true,
  },
  async ({ summary: data, scores, choice: chosen, evaluation: result, curves: file }, { file: path, deck }) => {
    const curves = await file.json<Curves>();
    const { calibrationChart, hourChart, importanceChart, lossChart, rocChart } = await import('./charts.js');
    const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
    const rows = [...scores]
      .sort((a, b) => a.log_loss - b.log_loss)
      .map(
        (entry) =>
          `<tr><td>${escapeHtml(entry.name)}</td><td class="number">${entry.log_loss.toFixed(4)}</td><td class="number">${entry.auc.toFixed(3)}</td></tr>`,
      );
    const sections: [string, string][] = [
      [
        'Will this flight arrive 15 minutes late?',
        `<p>${data.flights.toLocaleString('en')} domestic flights in the United States, ${data.from} to ${data.to}
(${data.dropped} impossible records dropped), ${data.sampled.toLocaleString('en')} of them sampled; ${percent(data.late_share)} were late.
The prediction is made when the aircraft leaves the gate, from what is known then. Models learn from the earliest
days, are chosen by later ones, and are judged here on the last ones.</p>
<p><strong>${escapeHtml(result.model)}</strong> on ${result.flights.toLocaleString('en')} unseen flights: log loss
${result.log_loss.toFixed(4)} (${percent(1 - result.log_loss / result.baseline_log_loss)} less than the same probability for
everybody), area under the ROC curve ${result.auc.toFixed(3)}, Brier score ${result.brier.toFixed(4)}.</p>`,
      ],
      [
        'Candidates',
        `${await lossChart(
          scores.map((entry) => ({ name: entry.name, logLoss: entry.log_loss, chosen: entry.name === chosen.name })),
          chosen.baseline_log_loss,
        )}
<p>The dashed line is the baseline. The best candidate saves ${percent(chosen.gain)} of its loss.</p>
<table><thead><tr><th>model</th><th class="number">log loss</th><th class="number">AUC</th></tr></thead><tbody>${rows.join('')}</tbody></table>`,
      ],
      ['Which late flights it finds', await rocChart(curves.roc)],
      ['Are its probabilities right?', await calibrationChart(curves.calibration)],
      ['Over the day', await hourChart(curves.hours)],
      ['What it goes by', await importanceChart(curves.importance)],
    ];
    for (const [title, html] of sections) deck.add(title, html);
    const body = sections.map(([title, html]) => `<h2>${escapeHtml(title)}</h2>\n${html}`).join('\n');
    await writeFile(
      path('report.html'),
      `<!doctype html><meta charset="utf-8"><title>Flight delays</title>\n${body}\n`,
    );
    return { page: new FlyteFile(path('report.html')) };
  },
);

async function save(model: Model, path: string): Promise<FlyteFile> {
  await writeFile(path, JSON.stringify(model));
  return new FlyteFile(path);
}

async function judge(name: string, model: Model, validation: FlyteFile) {
  const { features, late } = examplesOf(await readTable(await validation.path()));
  const predicted = predict(model, features);
  return { name, log_loss: logLoss(predicted, late), auc: areaUnderRoc(predicted, late) };
}

function shareByHour(minutes: readonly number[], values: ArrayLike<number>): number[] {
  const sum = new Float64Array(24);
  const count = new Float64Array(24);
  minutes.forEach((minute, row) => {
    const hour = Math.floor(minute / 60);
    sum[hour]! += values[row]!;
    count[hour]!++;
  });
  return Array.from(sum, (total, hour) => (count[hour]! > 0 ? total / count[hour]! : 0));
}

/** The same rows with one column's values dealt out anew. */
function shuffled(features: readonly number[][], column: number): number[][] {
  const random = randomFrom(seed + column);
  const values = features.map((row) => row[column]!);
  for (let i = values.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [values[i], values[j]] = [values[j]!, values[i]!];
  }
  return features.map((row, i) => row.with(column, values[i]!));
}
