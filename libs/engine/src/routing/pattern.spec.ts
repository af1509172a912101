import fc from 'fast-check';
import { matchesPattern } from './pattern.js';

it.each([
  ['a', 'a', true],
  ['a', 'ab', false],
  ['*', '', true],
  ['team-*', 'team-', true],
  ['team-*', 'tea', false],
  ['*.train', 'core.train', true],
  ['*.train', 'core.train.', false],
  ['a*a', 'a', false],
  ['a*b*c', 'aXbYc', true],
  ['a*b*b', 'ab', false],
  ['a**b', 'ab', true],
  ['a.c', 'abc', false],
])('%s for %s: %s', (pattern, text, expected) => {
  expect(matchesPattern(pattern, text)).toBe(expected);
});

it('is what a regular expression says', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 8 });
  fc.assert(
    fc.property(letters, fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 10 }), (pattern, text) => {
      expect(matchesPattern(pattern, text)).toBe(new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(text));
    }),
    { numRuns: 2000 },
  );
});
