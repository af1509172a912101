import { t, task, workflow } from '@aloft/sdk';

const show = (value: unknown): string => `${value === null ? 'null' : typeof value} ${String(value)}`;
const number = task({ name: 'union-promote.number', inputs: { n: t.int }, outputs: { o: t.int } }, ({ n }) => ({
  o: n,
}));
const maybe = task(
  { name: 'union-promote.maybe', inputs: { n: t.int }, outputs: { o: t.optional(t.int) } },
  ({ n }) => ({ o: n > 0 ? n : null }),
);
const either = task(
  { name: 'union-promote.either', inputs: { value: t.union(t.int, t.string) }, outputs: { text: t.string } },
  ({ value }) => ({ text: show(value) }),
);
const anyOf = task(
  {
    name: 'union-promote.any-of',
    inputs: { value: t.union(t.int, t.string, t.none), rest: t.list(t.union(t.int, t.string)) },
    outputs: { text: t.string },
  },
  ({ value, rest }) => ({ text: `${show(value)} ${rest.map(show).join(', ')}` }),
);
const absent = task(
  { name: 'union-promote.absent', inputs: { value: t.optional(t.string) }, outputs: { text: t.string } },
  ({ value }) => ({ text: show(value) }),
);

export const wf = workflow(
  { inputs: { n: t.int }, outputs: { either: t.string, any: t.string, plain: t.string, absent: t.string } },
  ({ n }) => {
    const value = number({ n }).o;
    return {
      either: either({ value }).text,
      any: anyOf({ value: maybe({ n }).o, rest: [value, 'x'] }).text,
      plain: anyOf({ value, rest: [] }).text,
      absent: absent({}).text,
    };
  },
);
