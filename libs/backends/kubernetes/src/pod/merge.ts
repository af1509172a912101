type Json = { [key: string]: unknown };

/** Lists whose items have a name of their own; others are put one behind the other. */
const namedBy: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  ephemeralContainers: 'name',
  volumes: 'name',
  env: 'name',
  volumeMounts: 'mountPath',
  volumeDevices: 'devicePath',
  ports: 'containerPort',
  imagePullSecrets: 'name',
  hostAliases: 'ip',
};
/** Lists that are one value. */
const whole = new Set(['command', 'args', 'matchLabelKeys']);

/** `over` on top of `base`, as Kubernetes merges pods: objects by field, lists by their items' names, other values replaced. */
export function merged<T>(base: T, over: T, field = ''): T {
  if (over === undefined || over === null) return base;
  if (base === undefined || base === null) return over;
  if (Array.isArray(base) && Array.isArray(over)) return mergedList(base, over, field) as T;
  if (!isObject(base) || !isObject(over)) return over;
  const result: Json = { ...base };
  for (const [key, value] of Object.entries(over)) result[key] = merged(result[key], value, key);
  return result as T;
}

function mergedList(base: unknown[], over: unknown[], field: string): unknown[] {
  if (whole.has(field)) return over;
  const name = namedBy[field];
  if (name === undefined) return [...base, ...over];
  const nameOf = (item: unknown) => (isObject(item) ? item[name] : item);
  const left = [...over];
  const both = base.map((item) => {
    const at = left.findIndex((candidate) => nameOf(candidate) === nameOf(item));
    return at < 0 ? item : merged(item, left.splice(at, 1)[0]);
  });
  return [...both, ...left];
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
