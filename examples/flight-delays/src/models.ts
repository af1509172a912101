import { RandomForestRegression } from 'ml-random-forest';
import { predictBoostedTrees, trainBoostedTrees, type BoostedTrees } from './boosted-trees.js';
import { predictLogisticRegression, trainLogisticRegression, type LogisticRegression } from './logistic-regression.js';
import { sample } from './random.js';

/** What to train. `size` and `rate` mean for each kind what the comments say. */
export interface ModelConfig {
  name: string;
  kind: 'logistic' | 'forest' | 'boosted';
  /** logistic: unused; forest: number of trees; boosted: rounds. */
  size: number;
  depth: number;
  /** logistic: penalty; boosted: learning rate. */
  rate: number;
  /** Rows to train on; the forest's package takes time quadratic in them. */
  rows: number;
}

export type Model =
  | { kind: 'constant'; probability: number }
  | { kind: 'logistic'; logistic: LogisticRegression }
  | { kind: 'boosted'; boosted: BoostedTrees }
  | { kind: 'forest'; forest: ReturnType<RandomForestRegression['toJSON']> };

export function trainModel(
  config: ModelConfig,
  features: readonly number[][],
  late: ArrayLike<number>,
  seed: number,
): Model {
  const rows = sample(features.length, config.rows, seed);
  const x = Array.from(rows, (row) => features[row]!);
  const y = Array.from(rows, (row) => late[row]!);
  switch (config.kind) {
    case 'logistic':
      return { kind: 'logistic', logistic: trainLogisticRegression(x, y, { penalty: config.rate }) };
    case 'boosted':
      return {
        kind: 'boosted',
        boosted: trainBoostedTrees(x, y, {
          rounds: config.size,
          learningRate: config.rate,
          maxDepth: config.depth,
          minLeaf: 50,
          regularisation: 1,
          subsample: 0.7,
          seed,
        }),
      };
    case 'forest': {
      // Trees for numbers on a 0/1 target: the mean of a leaf is a probability.
      const forest = new RandomForestRegression({
        seed,
        nEstimators: config.size,
        maxFeatures: 0.5,
        replacement: true,
        noOOB: true,
        treeOptions: { maxDepth: config.depth, minNumSamples: 40 },
      });
      forest.train(x, y);
      return { kind: 'forest', forest: forest.toJSON() };
    }
  }
}

/** Probability of being late, for each row. */
export function predict(model: Model, features: readonly number[][]): Float64Array {
  switch (model.kind) {
    case 'constant':
      return new Float64Array(features.length).fill(model.probability);
    case 'logistic':
      return Float64Array.from(features, (row) => predictLogisticRegression(model.logistic, row));
    case 'boosted':
      return Float64Array.from(features, (row) => predictBoostedTrees(model.boosted, row));
    case 'forest':
      return Float64Array.from(RandomForestRegression.load(model.forest).predict(features as number[][]));
  }
}
