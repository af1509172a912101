import { invalidArgument } from '@aloft/errors';

const value = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const namePart = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const prefixPart = /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/;

/** Labels as Kubernetes takes them, at most `max`; 0: any number. */
export function requireLabels(labels: Readonly<Record<string, string>> | undefined, where: string, max: number): void {
  const entries = Object.entries(labels ?? {});
  if (max > 0 && entries.length > max)
    throw invalidArgument(`${where}: ${entries.length} labels; at most ${max} are allowed`);
  for (const [key, text] of entries) {
    const slash = key.indexOf('/');
    const prefixFits = slash < 0 || prefixPart.test(key.slice(0, slash));
    if (!prefixFits || !namePart.test(key.slice(slash + 1)))
      throw invalidArgument(
        `${where}: key ${JSON.stringify(key)} is no Kubernetes label key; use [prefix/]name of letters, digits, "-", "_", ".", at most 63`,
      );
    if (!value.test(text))
      throw invalidArgument(
        `${where}[${key}]: ${JSON.stringify(text)} is no Kubernetes label value; use at most 63 letters, digits, "-", "_", "."`,
      );
  }
}

/** At most `max` annotations, 0: any number; their texts are free. */
export function requireAnnotations(
  annotations: Readonly<Record<string, string>> | undefined,
  where: string,
  max: number,
): void {
  const entries = Object.entries(annotations ?? {});
  if (max > 0 && entries.length > max)
    throw invalidArgument(`${where}: ${entries.length} annotations; at most ${max} are allowed`);
}
