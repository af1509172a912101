import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const [asWhole, ours] = read('docs/part-c.md').split('## What is ours on purpose') as [string, string];
const rowsOf = (section: string) =>
  section
    .split('\n')
    .filter((line) => /^\| (`|[A-Z]+-\d)/.test(line))
    .map((line) => line.split('|').map((cell) => cell.trim()));

describe('docs/part-c.md is true', () => {
  const rows = rowsOf(asWhole);
  const names = rows.map(([, name]) => name!.replaceAll('`', ''));
  /** Suites of their backends have them. */
  const elsewhere = ['spark', 'sql-connector'];
  const built = names.filter((name) => !elsewhere.includes(name)).sort();

  it('lists the 28 checks', () => {
    expect(names).toHaveLength(28);
    expect(built).toHaveLength(26);
  });

  it.each(elsewhere)('%s is in the suite of its backend', (name) => {
    const [, , text] = rows.find(([, cell]) => cell === `\`${name}\``)!;
    const [, file] = /^`(e2e\/[\w/.-]+)`/.exec(text!)!;
    expect(existsSync(join(root, file!))).toBe(true);
  });

  it('each is a script and a test of stock flytekit', () => {
    const scripts = readdirSync(join(root, 'e2e/flytekit/scripts/part_c')).flatMap((file) =>
      /^[a-z]\w*\.py$/.test(file) ? [file.slice(0, -3).replaceAll('_', '-')] : [],
    );
    const tests = [...read('e2e/flytekit/tests/test_part_c.py').matchAll(/^@check\("(.*)"\)$/gm)].map(
      ([, name]) => name,
    );
    expect([scripts.sort(), tests.sort()]).toEqual([built, built]);
  });

  it('each is a script and a test of the SDK', () => {
    const scripts = readdirSync(join(root, 'e2e/sdk/part-c')).map((file) => file.replace(/\.ts$/, ''));
    const tests = [...read('e2e/sdk/part-c.it.spec.ts').matchAll(/^ {2}async \*'?([\w-]+)'?\(world\)/gm)].map(
      ([, name]) => name,
    );
    expect([scripts.sort(), tests.sort()]).toEqual([built, built]);
  });

  it.each(rowsOf(ours).map((cells) => [cells[1]!, cells[3]!]))('%s: what it names is there', (_, check) => {
    const quoted = [...check.matchAll(/`([^`]+)`/g)].map(([, text]) => text!);
    const files = quoted.filter((text) => text.includes('/'));
    for (const file of files) expect([file, existsSync(join(root, file))]).toEqual([file, true]);
    for (const name of quoted.filter((text) => !text.includes('/'))) expect(built).toContain(name);
    const text = files.map(read).join('\n').replaceAll('’', "'");
    for (const [, name] of check.matchAll(/"([^"]+)"/g)) expect(text).toContain(name!.replace(/ …$/, ''));
    if (files.length === 0 && quoted.length === 0) expect(check).toMatch(/^none yet/);
  });
});
