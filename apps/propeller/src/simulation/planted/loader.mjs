// A module hook: gives the built file of one mutation with its fault planted. Runs in the hooks' thread.
let mutation;
let planted = false;

export function initialize(data) {
  mutation = data;
}

export async function load(url, context, next) {
  const loaded = await next(url, context);
  if (!mutation || planted || !url.endsWith(`/${mutation.file}`)) return loaded;
  const source = String(loaded.source);
  const parts = source.split(mutation.find);
  if (parts.length !== 2) throw new Error(`${mutation.file} has ${parts.length - 1} places that say ${mutation.find}`);
  planted = true;
  return { ...loaded, source: parts.join(mutation.replace) };
}
