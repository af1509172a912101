/** Logarithmic loss in nats: what a probability costs when the outcome is known. Probabilities are kept off 0 and 1. */
export function logLoss(probability: ArrayLike<number>, outcome: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < outcome.length; i++) {
    const p = Math.min(1 - 1e-6, Math.max(1e-6, probability[i]!));
    sum -= outcome[i]! ? Math.log(p) : Math.log(1 - p);
  }
  return sum / outcome.length;
}

/** Mean squared error of a probability. */
export function brierScore(probability: ArrayLike<number>, outcome: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < outcome.length; i++) sum += (probability[i]! - outcome[i]!) ** 2;
  return sum / outcome.length;
}

/** Area under the ROC curve: the chance that a late flight gets the higher probability than one on time; ties count half. */
export function areaUnderRoc(probability: ArrayLike<number>, outcome: ArrayLike<number>): number {
  const order = Array.from({ length: outcome.length }, (_, i) => i).sort((a, b) => probability[a]! - probability[b]!);
  let late = 0;
  let ranks = 0;
  for (let start = 0; start < order.length;) {
    let end = start;
    while (end < order.length && probability[order[end]!] === probability[order[start]!]) end++;
    const rank = (start + 1 + end) / 2;
    for (let i = start; i < end; i++)
      if (outcome[order[i]!]) {
        late++;
        ranks += rank;
      }
    start = end;
  }
  const onTime = order.length - late;
  return late === 0 || onTime === 0 ? 0.5 : (ranks - (late * (late + 1)) / 2) / (late * onTime);
}

export interface RocPoint {
  falsePositives: number;
  truePositives: number;
}

/** The ROC curve, thinned to about `points` points. */
export function rocCurve(probability: ArrayLike<number>, outcome: ArrayLike<number>, points = 100): RocPoint[] {
  const order = Array.from({ length: outcome.length }, (_, i) => i).sort((a, b) => probability[b]! - probability[a]!);
  const late = order.reduce((sum, i) => sum + outcome[i]!, 0);
  const curve: RocPoint[] = [{ falsePositives: 0, truePositives: 0 }];
  let hits = 0;
  order.forEach((i, position) => {
    hits += outcome[i]!;
    const last = position + 1 === order.length;
    const tie = !last && probability[order[position + 1]!] === probability[i];
    if (last || (!tie && (position + 1) % Math.ceil(order.length / points) === 0))
      curve.push({ falsePositives: (position + 1 - hits) / (order.length - late), truePositives: hits / late });
  });
  return curve;
}

export interface CalibrationBin {
  predicted: number;
  observed: number;
  flights: number;
}

/** Mean prediction and share of late flights, in bins of equal numbers of flights. */
export function calibration(probability: ArrayLike<number>, outcome: ArrayLike<number>, bins = 10): CalibrationBin[] {
  const order = Array.from({ length: outcome.length }, (_, i) => i).sort((a, b) => probability[a]! - probability[b]!);
  return Array.from({ length: bins }, (_, bin) => {
    const own = order.slice(Math.floor((bin * order.length) / bins), Math.floor(((bin + 1) * order.length) / bins));
    const mean = (values: ArrayLike<number>): number => own.reduce((sum, i) => sum + values[i]!, 0) / own.length;
    return { predicted: mean(probability), observed: mean(outcome), flights: own.length };
  });
}
