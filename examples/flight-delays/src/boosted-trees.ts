import { randomFrom } from './random.js';

export interface BoostingOptions {
  rounds: number;
  learningRate: number;
  maxDepth: number;
  minLeaf: number;
  /** Weight of the prior on leaf values (λ). */
  regularisation: number;
  /** Share of the rows that each tree sees. */
  subsample: number;
  seed: number;
}

/** A node of a tree, in arrays: `feature` −1 is a leaf with `value`; else rows with bin ≤ `split` go left. */
export interface Tree {
  feature: number[];
  threshold: number[];
  left: number[];
  right: number[];
  value: number[];
}

export interface BoostedTrees {
  base: number;
  trees: Tree[];
}

const bins = 64;

/**
 * Gradient-boosted trees for a yes/no target with logistic loss (Friedman 2001), on histograms of at most 64 bins a
 * feature with second-order leaf values (Chen & Guestrin 2016). npm has no maintained package that trains one, and the
 * trees of the packages there are take quadratic time; this takes rows × features for each level.
 */
export function trainBoostedTrees(
  features: readonly number[][],
  target: ArrayLike<number>,
  options: BoostingOptions,
): BoostedTrees {
  const rows = features.length;
  const width = features[0]?.length ?? 0;
  const edges = Array.from({ length: width }, (_, feature) => quantiles(features.map((row) => row[feature]!)));
  const binned = edges.map((edge, feature) => Uint8Array.from(features, (row) => binOf(edge, row[feature]!)));
  let positive = 0;
  for (let row = 0; row < rows; row++) positive += target[row]!;
  const base = Math.log(positive / (rows - positive));
  const score = new Float64Array(rows).fill(base);
  const gradient = new Float64Array(rows);
  const hessian = new Float64Array(rows);
  const random = randomFrom(options.seed);
  const trees: Tree[] = [];
  for (let round = 0; round < options.rounds; round++) {
    for (let row = 0; row < rows; row++) {
      const p = sigmoid(score[row]!);
      gradient[row] = p - target[row]!;
      hessian[row] = p * (1 - p);
    }
    const seen = Uint32Array.from(features.keys()).filter(() => random() < options.subsample);
    const tree = grow(binned, edges, gradient, hessian, seen, options);
    trees.push(tree);
    for (let row = 0; row < rows; row++) score[row]! += valueAt(tree, features[row]!);
  }
  return { base, trees };
}

export function predictBoostedTrees(model: BoostedTrees, row: readonly number[]): number {
  let score = model.base;
  for (const tree of model.trees) score += valueAt(tree, row);
  return sigmoid(score);
}

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

function valueAt(tree: Tree, row: readonly number[]): number {
  let node = 0;
  while (tree.feature[node]! >= 0)
    node = row[tree.feature[node]!]! <= tree.threshold[node]! ? tree.left[node]! : tree.right[node]!;
  return tree.value[node]!;
}

/** Upper edges of bins with about as many rows each; the last bin is open. */
function quantiles(values: number[]): Float64Array {
  const sorted = Float64Array.from(values).sort();
  const edges = new Set<number>();
  for (let bin = 1; bin < bins; bin++) edges.add(sorted[Math.floor((bin * (sorted.length - 1)) / bins)]!);
  edges.delete(sorted[sorted.length - 1]!);
  return Float64Array.from(edges);
}

/** The first bin whose upper edge is not below the value. */
function binOf(edges: Float64Array, value: number): number {
  let low = 0;
  let high = edges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (value <= edges[middle]!) high = middle;
    else low = middle + 1;
  }
  return low;
}

function grow(
  binned: readonly Uint8Array[],
  edges: readonly Float64Array[],
  gradient: Float64Array,
  hessian: Float64Array,
  rows: Uint32Array,
  options: BoostingOptions,
): Tree {
  const tree: Tree = { feature: [], threshold: [], left: [], right: [], value: [] };
  const build = (own: Uint32Array, depth: number): number => {
    const node = tree.feature.push(-1) - 1;
    tree.threshold.push(0);
    tree.left.push(-1);
    tree.right.push(-1);
    let g = 0;
    let h = 0;
    for (const row of own) {
      g += gradient[row]!;
      h += hessian[row]!;
    }
    tree.value.push((-options.learningRate * g) / (h + options.regularisation));
    if (depth >= options.maxDepth || own.length < 2 * options.minLeaf) return node;
    const best = bestSplit(binned, edges, gradient, hessian, own, g, h, options);
    if (!best) return node;
    const column = binned[best.feature]!;
    const left = own.filter((row) => column[row]! <= best.bin);
    const right = own.filter((row) => column[row]! > best.bin);
    tree.feature[node] = best.feature;
    tree.threshold[node] = edges[best.feature]![best.bin]!;
    tree.left[node] = build(left, depth + 1);
    tree.right[node] = build(right, depth + 1);
    return node;
  };
  build(rows, 0);
  return tree;
}

function bestSplit(
  binned: readonly Uint8Array[],
  edges: readonly Float64Array[],
  gradient: Float64Array,
  hessian: Float64Array,
  rows: Uint32Array,
  g: number,
  h: number,
  { minLeaf, regularisation }: BoostingOptions,
): { feature: number; bin: number } | undefined {
  let best: { feature: number; bin: number } | undefined;
  let bestGain = 1e-6;
  const whole = (g * g) / (h + regularisation);
  const sums = { g: new Float64Array(bins), h: new Float64Array(bins), n: new Uint32Array(bins) };
  for (let feature = 0; feature < binned.length; feature++) {
    const column = binned[feature]!;
    sums.g.fill(0);
    sums.h.fill(0);
    sums.n.fill(0);
    for (const row of rows) {
      const bin = column[row]!;
      sums.g[bin]! += gradient[row]!;
      sums.h[bin]! += hessian[row]!;
      sums.n[bin]!++;
    }
    let leftG = 0;
    let leftH = 0;
    let leftN = 0;
    for (let bin = 0; bin < edges[feature]!.length; bin++) {
      leftG += sums.g[bin]!;
      leftH += sums.h[bin]!;
      leftN += sums.n[bin]!;
      if (leftN < minLeaf || rows.length - leftN < minLeaf) continue;
      const gain =
        (leftG * leftG) / (leftH + regularisation) + ((g - leftG) * (g - leftG)) / (h - leftH + regularisation) - whole;
      if (gain > bestGain) {
        bestGain = gain;
        best = { feature, bin };
      }
    }
  }
  return best;
}
