import { Matrix, solve } from 'ml-matrix';
import { sigmoid } from './boosted-trees.js';

export interface LogisticRegression {
  mean: number[];
  scale: number[];
  /** Intercept first. */
  weights: number[];
}

/**
 * Logistic regression with an L2 penalty, fitted by Newton's method: the normal equations of each step are solved by
 * ml-matrix. Features are standardised first; `expand` adds the terms that make hours and squares linear.
 */
export function trainLogisticRegression(
  features: readonly number[][],
  target: ArrayLike<number>,
  { penalty, steps = 8 }: { penalty: number; steps?: number },
): LogisticRegression {
  const raw = features.map(expand);
  const width = raw[0]!.length;
  const mean = Array.from({ length: width }, (_, j) => raw.reduce((sum, row) => sum + row[j]!, 0) / raw.length);
  const scale = mean.map((m, j) => Math.sqrt(raw.reduce((sum, row) => sum + (row[j]! - m) ** 2, 0) / raw.length) || 1);
  const rows = raw.map((row) => [1, ...row.map((value, j) => (value - mean[j]!) / scale[j]!)]);
  const size = width + 1;
  let weights = new Array<number>(size).fill(0);
  for (let step = 0; step < steps; step++) {
    const hessian = Matrix.zeros(size, size);
    const gradient = new Float64Array(size);
    const upper = Array.from({ length: size }, () => new Float64Array(size));
    rows.forEach((row, i) => {
      let z = 0;
      for (let j = 0; j < size; j++) z += row[j]! * weights[j]!;
      const p = sigmoid(z);
      const w = p * (1 - p);
      for (let j = 0; j < size; j++) {
        const x = row[j]!;
        gradient[j]! += (p - target[i]!) * x;
        const line = upper[j]!;
        for (let k = j; k < size; k++) line[k]! += w * x * row[k]!;
      }
    });
    for (let j = 0; j < size; j++) {
      for (let k = j; k < size; k++) {
        hessian.set(j, k, upper[j]![k]!);
        hessian.set(k, j, upper[j]![k]!);
      }
      // The intercept is not penalised.
      const lambda = j === 0 ? 1e-9 : penalty;
      gradient[j]! += lambda * weights[j]!;
      hessian.set(j, j, hessian.get(j, j) + lambda);
    }
    const change = solve(hessian, Matrix.columnVector(gradient)).to1DArray();
    weights = weights.map((weight, j) => weight - change[j]!);
  }
  return { mean, scale, weights };
}

export function predictLogisticRegression(model: LogisticRegression, row: readonly number[]): number {
  let z = model.weights[0]!;
  expand(row).forEach((value, j) => (z += (model.weights[j + 1]! * (value - model.mean[j]!)) / model.scale[j]!));
  return sigmoid(z);
}

/** The first feature is the minute of the day: two harmonics make a smooth daily course of it. */
function expand(row: readonly number[]): number[] {
  const angle = (2 * Math.PI * row[0]!) / 1440;
  return [...row, Math.sin(angle), Math.cos(angle), Math.sin(2 * angle), Math.cos(2 * angle), row.at(-2)! ** 2];
}
