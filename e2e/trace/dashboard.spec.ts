import { readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';

it('the dashboard asks for metrics that docs/architecture/observability.md lists', () => {
  const file = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
  const documented = [...file('docs/architecture/observability.md').matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name);
  const asked = [...file('deploy/grafana/aloft.json').matchAll(/\b(?:aloft|nodejs|process)_[a-z0-9_]+/g)].map(
    ([name]) => name.replace(/_(bucket|sum|count)$/, ''),
  );
  expect(asked.length).toBeGreaterThan(15);
  expect(asked.filter((name) => !documented.includes(name))).toEqual([]);
});
