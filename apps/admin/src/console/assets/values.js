// Literals as people would write them.

export function describe(literals) {
  return Object.entries(literals)
    .map(([name, literal]) => `${name} = ${value(literal)}`)
    .join('\n');
}

function value(literal) {
  const { scalar, collection, map } = literal ?? {};
  if (collection) return `[${(collection.literals ?? []).map(value).join(', ')}]`;
  if (map)
    return `{${Object.entries(map.literals ?? {})
      .map(([key, item]) => `${key}: ${value(item)}`)
      .join(', ')}}`;
  if (scalar?.primitive) return String(Object.values(scalar.primitive).find((part) => part !== null));
  if (scalar?.union) return value(scalar.union.value);
  if (scalar?.none_type) return 'None';
  const stored = scalar?.blob ?? scalar?.structured_dataset ?? scalar?.schema;
  if (stored) return stored.uri;
  if (scalar?.generic) return JSON.stringify(scalar.generic);
  return JSON.stringify(scalar ?? literal);
}
