import { gt, map, t, when, workflow } from '@aloft/sdk';
import {
  baseline,
  chooseBest,
  choice,
  evaluate,
  evaluation,
  load,
  modelConfig,
  profile,
  report,
  score,
  split,
  summary,
  trainModel,
} from './tasks.js';

export { baseline, chooseBest, evaluate, load, profile, report, split, trainModel };

const candidates = [
  { name: 'logistic', kind: 'logistic' as const, size: 0, depth: 0, rate: 1, rows: 60_000 },
  { name: 'logistic, small data', kind: 'logistic' as const, size: 0, depth: 0, rate: 10, rows: 5_000 },
  { name: 'forest of 10', kind: 'forest' as const, size: 10, depth: 6, rate: 0, rows: 2_500 },
  { name: 'boosted, depth 2', kind: 'boosted' as const, size: 150, depth: 2, rate: 0.1, rows: 60_000 },
  { name: 'boosted, depth 4', kind: 'boosted' as const, size: 120, depth: 4, rate: 0.1, rows: 60_000 },
  { name: 'boosted, depth 6', kind: 'boosted' as const, size: 100, depth: 6, rate: 0.08, rows: 60_000 },
];

/** From the raw files to three tables of features. */
export const prepare = workflow(
  {
    inputs: {
      flights: t.file('parquet'),
      airports: t.file('csv'),
      rows: t.int,
      validation_from: t.datetime,
      test_from: t.datetime,
    },
    outputs: {
      training: t.file('parquet'),
      validation: t.file('parquet'),
      test: t.file('parquet'),
      summary,
      late_by_hour: t.list(t.float),
    },
  },
  ({ flights, airports, rows, validation_from, test_from }) => {
    const loaded = load({ flights, airports, rows });
    const parts = split({ table: loaded.table, validation_from, test_from });
    const { late_by_hour } = profile({ table: loaded.table });
    return { ...parts, summary: loaded.summary, late_by_hour };
  },
);

/** Predicts at departure whether a flight will arrive 15 minutes late, and says how well. */
export const pipeline = workflow(
  {
    description: 'Will this flight arrive late?',
    inputs: {
      flights: t.file('parquet').describe('flights-3m.parquet of the npm package vega-datasets'),
      airports: t.file('csv').describe('airports.csv of the same package'),
      rows: t.int.describe('flights to sample').default(100_000),
      validation_from: t.datetime.describe('first day to choose a model by').default(new Date('2001-05-01')),
      test_from: t.datetime.describe('first day to judge it by').default(new Date('2001-06-01')),
      models: t.list(modelConfig).describe('candidates').default(candidates),
      least_gain: t.float.describe('share of the baseline’s loss that a model must save to be used').default(0.02),
    },
    outputs: { evaluation, choice, scores: t.list(score), page: t.file('html') },
  },
  ({ flights, airports, rows, validation_from, test_from, models, least_gain }) => {
    const data = prepare({ flights, airports, rows, validation_from, test_from }, { name: 'prepare' });
    const { training, validation, test } = data;
    const simple = baseline({ training, validation });
    const trained = map(trainModel, {
      each: { config: models },
      same: { training, validation },
      concurrency: 2,
      name: 'train',
    });
    const best = chooseBest({ models: trained.model, scores: trained.score, baseline: simple.score });
    // A model that hardly beats the baseline is not worth running: then the baseline itself goes on.
    const judged = when(
      gt(best.choice.gain, least_gain),
      () => evaluate({ name: best.choice.name, model: best.model, training, test }, { name: 'evaluate the model' }),
      { name: 'is it better?' },
    ).otherwise(() =>
      evaluate({ name: 'baseline', model: simple.model, training, test }, { name: 'evaluate the baseline' }),
    );
    const { page } = report({
      summary: data.summary,
      scores: trained.score,
      choice: best.choice,
      evaluation: judged.evaluation,
      curves: judged.curves,
    });
    return { evaluation: judged.evaluation, choice: best.choice, scores: trained.score, page };
  },
);
