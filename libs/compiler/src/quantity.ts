const multipliers: Record<string, [base: bigint, power: bigint]> = {
  n: [10n, -9n],
  u: [10n, -6n],
  m: [10n, -3n],
  '': [10n, 0n],
  k: [10n, 3n],
  M: [10n, 6n],
  G: [10n, 9n],
  T: [10n, 12n],
  P: [10n, 15n],
  E: [10n, 18n],
  Ki: [2n, 10n],
  Mi: [2n, 20n],
  Gi: [2n, 30n],
  Ti: [2n, 40n],
  Pi: [2n, 50n],
  Ei: [2n, 60n],
};

const syntax = /^([+-]?)(\d+(?:\.\d*)?|\.\d+)(?:([eE])([+-]?\d{1,3})|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?)$/;

/**
 * A Kubernetes quantity (`500m`, `2`, `1.5Gi`, `1e3`) in billionths, rounded up as Kubernetes does. Undefined when the text
 * isn't one.
 */
export function parseQuantity(text: string): bigint | undefined {
  const match = syntax.exec(text);
  if (!match) return undefined;
  const [, sign, number, , exponent, suffix = ''] = match;
  const [whole = '', decimals = ''] = number!.split('.');
  const digits = BigInt(`${whole}${decimals}`);
  const [base, power] = exponent === undefined ? multipliers[suffix]! : ([10n, BigInt(exponent)] as const);
  const up = 10n ** 9n * (power > 0n ? base ** power : 1n);
  const down = 10n ** BigInt(decimals.length) * (power < 0n ? base ** -power : 1n);
  const value = (digits * up + down - 1n) / down;
  return sign === '-' ? -value : value;
}
