/** Spark's configuration: names to values. */
export type Conf = Readonly<Record<string, string>>;

/** Named by the backend: a task that names them means its runs elsewhere (flytekit heeds them in local executions). */
const ours = ['spark.master', 'spark.submit.deployMode'];

/** What of a task's configuration counts here; later ones go before earlier ones. */
export function effectiveConf(...layers: readonly Conf[]): Conf {
  const all = Object.assign({}, ...layers) as Record<string, string>;
  return Object.fromEntries(Object.entries(all).filter(([name]) => !ours.includes(name)));
}

const units: Readonly<Record<string, number>> = { b: 0, k: 10, m: 20, g: 30, t: 40, p: 50 };

/** Bytes of a size as Spark writes it (`512m`, `1g`, `1.5gb` is none); without a unit it is mebibytes. */
export function bytesOf(size: string): number | undefined {
  const match = /^\s*(\d+)\s*([bkmgtp])?b?\s*$/i.exec(size);
  if (!match) return undefined;
  return Number(match[1]) * 2 ** (units[(match[2] ?? 'm').toLowerCase()] ?? 20);
}

const mib = 2 ** 20;

/** What the virtual machine of a driver takes with this configuration: its heap, and what Spark reckons besides. */
export function driverBytes(conf: Conf): number {
  const heap = bytesOf(conf['spark.driver.memory'] ?? '') ?? 1024 * mib;
  const factor = Number(conf['spark.driver.memoryOverheadFactor'] ?? 0.1);
  return heap + (bytesOf(conf['spark.driver.memoryOverhead'] ?? '') ?? Math.max(384 * mib, Math.ceil(heap * factor)));
}
