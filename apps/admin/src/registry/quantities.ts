const suffixes: Record<string, [bigint, bigint]> = {
  n: [1n, 1_000_000_000n],
  u: [1n, 1_000_000n],
  m: [1n, 1_000n],
  '': [1n, 1n],
  k: [1_000n, 1n],
  M: [1_000_000n, 1n],
  G: [1_000_000_000n, 1n],
  T: [10n ** 12n, 1n],
  P: [10n ** 15n, 1n],
  E: [10n ** 18n, 1n],
  Ki: [1n << 10n, 1n],
  Mi: [1n << 20n, 1n],
  Gi: [1n << 30n, 1n],
  Ti: [1n << 40n, 1n],
  Pi: [1n << 50n, 1n],
  Ei: [1n << 60n, 1n],
};

const nano = 1_000_000_000n;
const shape = /^([+-]?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d{1,2})|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?$/;

/** A Kubernetes quantity (`500m`, `2Gi`, `1e3`) in billionths, rounded up; `undefined` if the text is none. */
export function parseQuantity(text: string): bigint | undefined {
  const match = shape.exec(text.trim());
  if (!match) return undefined;
  const [, sign, whole = '0', fraction = '', exponent, suffix = ''] = match;
  const [factor, divisor] = suffixes[suffix] as [bigint, bigint];
  let numerator = BigInt(whole + fraction) * factor * nano;
  let denominator = 10n ** BigInt(fraction.length) * divisor;
  if (exponent !== undefined) {
    const power = Number(exponent);
    if (power >= 0) numerator *= 10n ** BigInt(power);
    else denominator *= 10n ** BigInt(-power);
  }
  const value = (numerator + denominator - 1n) / denominator;
  return sign === '-' ? -value : value;
}

export function isWholeQuantity(value: bigint): boolean {
  return value % nano === 0n;
}
