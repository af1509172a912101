import { Sort_Direction } from '@aloft/idl/flyteidl/admin/common';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { literalOf } from '@aloft/literals';
import type { ListModel } from './list-model.js';
import { launchPlanModel, projectModel, taskModel } from './registry-models.js';
import { executionModel, nodeExecutionModel, signalModel, taskExecutionModel } from './run-models.js';
import { compileList, filtersName, SqlParameters } from './list-query.js';
import { searchableValues } from './searchable-values.js';
import { parseDuration, parseTimestamp } from './values.js';

function compile(model: ListModel, filters: string, rest: object = {}) {
  const parameters = new SqlParameters();
  const query = compileList({
    model,
    parameters,
    where: [],
    request: { filters, sortBy: undefined, limit: 10, token: '', ...rest },
  });
  return { ...query, values: parameters.values };
}
const refusal = (model: ListModel, filters: string, rest?: object) => {
  try {
    compile(model, filters, rest);
  } catch (error) {
    return error as Error & { code: string };
  }
  throw new Error(`${filters} was accepted`);
};

describe('filters (A-190…A-194)', () => {
  test('K-31: phase and creation time of runs', () => {
    const { tail, values } = compile(
      executionModel,
      'eq(execution.phase,FAILED)+gte(execution_created_at,2026-01-01T00:00:00Z)',
    );
    expect(tail).toBe(
      'FROM executions e WHERE e.phase = $1::text AND e.created_at >= $2::timestamptz ORDER BY e.id LIMIT $3',
    );
    expect(values).toEqual(['FAILED', '2026-01-01T00:00:00Z', 10]);
  });

  test('K-31: lists', () => {
    const { tail, values } = compile(executionModel, 'value_in(phase,RUNNING;QUEUED)');
    expect(tail).toContain('e.phase = ANY ($1::text[])');
    expect(values[0]).toEqual(['RUNNING', 'QUEUED']);
    expect(compile(executionModel, 'value_not_in(phase,RUNNING)').tail).toContain('e.phase <> ALL ($1::text[])');
  });

  test('K-31: joined entities; all terms on one of them hold for the same row', () => {
    expect(compile(executionModel, 'contains(launch_plan.name,tr%in)').values[0]).toBe('%tr\\%in%');
    const tags = compile(executionModel, 'eq(execution_tag.key,team)+ne(execution_tag.value,ml)').tail;
    expect(tags).toContain(
      'EXISTS (SELECT 1 FROM execution_tags g WHERE g.execution_id = e.id AND g.key = $1::text AND g.value <> $2::text)',
    );
    expect(compile(executionModel, 'eq(admin_tag.name,team)').tail).toContain('g.key = $1::text');
    expect(compile(executionModel, 'eq(launch_plan.state,1)').tail).toContain(
      'FROM launch_plans l WHERE l.org = e.org AND',
    );
  });

  test('a list in the order of time begins with the runs that have a label, read in that order from an index', () => {
    const newest = { sortBy: { key: 'created_at', direction: Sort_Direction.DESCENDING } };
    const team = 'eq(execution_tag.key,team)+eq(execution_tag.value,ml)';
    const led = compile(executionModel, `eq(phase,FAILED)+${team}`, newest);
    expect(led.tail).toBe(
      'FROM execution_tags g JOIN executions e ON g.execution_id = e.id AND g.org = e.org AND g.project = e.project AND ' +
        'g.domain = e.domain WHERE g.key = $1::text AND g.value = $2::text AND e.phase = $3::text ' +
        'ORDER BY g.created_at DESC, g.execution_id DESC LIMIT $4',
    );
    expect(led.values).toEqual(['team', 'ml', 'FAILED', 10]);
    expect(led.order).toBe('e.created_at DESC, e.id DESC');
    // A key alone may stand in several rows of a run; a label with its value is rarer, so it leads.
    expect(compile(executionModel, 'eq(admin_tag.name,nightly)').tail).toContain('AND h.value < g.value) ORDER BY');
    const both = compile(executionModel, `eq(admin_tag.name,nightly)+${team}`, newest);
    expect(both.tail).toContain(
      'WHERE g.key = $1::text AND g.value = $2::text AND EXISTS (SELECT 1 FROM execution_tags g',
    );
    // Another order is another index's, and one of several alternatives is no reason to begin with it.
    const longest = { sortBy: { key: 'duration', direction: Sort_Direction.DESCENDING } };
    for (const [filters, more] of [
      [team, longest],
      ['eq(execution_tag.key,team) OR eq(phase,FAILED)', newest],
      ['contains(execution_tag.key,team)', newest],
    ] as const)
      expect(compile(executionModel, filters, more).tail).toContain('FROM executions e WHERE');
  });

  test('a list in the order of time begins with the errors of runs where a filter is on them', () => {
    const led = compile(executionModel, 'contains(error_message,disk)+eq(error_kind,USER)+eq(phase,FAILED)');
    expect(led.tail).toBe(
      'FROM execution_errors r JOIN executions e ON r.execution_id = e.id AND r.org = e.org AND r.project = e.project AND ' +
        'r.domain = e.domain WHERE r.message LIKE $1 AND r.kind = $2::text AND e.phase = $3::text ORDER BY r.execution_id LIMIT $4',
    );
    // One that a run without an error may fit, too.
    expect(compile(executionModel, 'eq(error_kind,USER) OR eq(phase,ABORTED)').tail).toContain('e.error_kind = $1');
  });

  test('what names a joined entity is in the row itself: no other table is looked into', () => {
    expect(compile(executionModel, 'eq(launch_plan.name,train)+eq(workflow.version,v1)').tail).toContain(
      'WHERE e.launch_plan_name = $1::text AND e.workflow_version = $2::text ORDER BY',
    );
    expect(compile(launchPlanModel, 'eq(workflow.version,abc)').tail).toContain('l.workflow_version = $1::text');
  });

  test('A-193: nodes, attempts and signals know the name of their run', () => {
    for (const model of [nodeExecutionModel, taskExecutionModel, signalModel])
      expect(compile(model, 'eq(execution_name,r1)').tail).toMatch(
        /WHERE \(SELECT o\.name FROM executions o WHERE o\.id = \w\.execution_id\) = \$1::text/,
      );
  });

  test('A-53: a filter on state switches the default off', () => {
    expect(filtersName(executionModel, 'ne(state,1)', 'state')).toBe(true);
    expect(filtersName(executionModel, 'eq(launch_plan.state,1)', 'state')).toBe(false);
  });

  test('Q-10: times in either spelling of the column; a value may hold a plus', () => {
    expect(compile(executionModel, 'gt(CreatedAt, 2026-01-01T00:00:00+02:00)+eq(phase,RUNNING)').values).toEqual([
      '2026-01-01T00:00:00+02:00',
      'RUNNING',
      10,
    ]);
  });

  test('U-20: OR binds tighter than +, within and over joined entities', () => {
    const { tail, values } = compile(
      executionModel,
      'eq(phase,FAILED) OR eq(phase,ABORTED)+eq(user,ada)+eq(execution_tag.key,a) OR eq(launch_plan.state,1)',
    );
    expect(tail).toContain('WHERE e.principal = $5::text AND (e.phase = $1::text OR e.phase = $2::text) AND (EXISTS (');
    expect(tail.match(/EXISTS/g)).toHaveLength(2);
    expect(values).toEqual(['FAILED', 'ABORTED', 'a', '1', 'ada', 10]);
  });

  test('U-20: a backslash takes the next special character literally; any other stands for itself', () => {
    const valueOf = (filters: string) => compile(executionModel, filters).values[0];
    expect(valueOf('eq(name,a\\)+eq(b)')).toBe('a)+eq(b');
    expect(valueOf('eq(name,a\\;b)')).toBe('a;b');
    expect(valueOf('value_in(name,a\\;b;c)')).toEqual(['a;b', 'c']);
    expect(valueOf('eq(name,C:\\dir)')).toBe('C:\\dir');
    expect(compile(executionModel, 'eq(name,a\\\\)+eq(phase,X)').values).toEqual(['a\\', 'X', 10]);
    expect(valueOf('eq(name,C:\\)')).toBe('C:\\');
    expect(valueOf('eq(name,f(x))')).toBe('f(x)');
  });

  test('U-20: inputs and outputs by their own names, as the number, text, boolean or time that a value can be', () => {
    const { tail, values } = compile(
      executionModel,
      'eq(input.numRows,5)+gt(output.score,0.5)+contains(input.s3Path,x%)',
    );
    expect(tail).toContain('FROM execution_values v JOIN executions e ON v.execution_id = e.id AND v.org = e.org');
    expect(tail).toContain('(v.input_values @> $1::jsonb OR v.input_values @> $2::jsonb)');
    expect(tail).toContain("WHEN jsonb_typeof(v.output_values -> $3::text) = 'number'");
    expect(values).toEqual(['{"numRows":"5"}', '{"numRows":5}', 'score', '0.5', 's3Path', '%x\\%%', 10]);
    // A run without that input fits, too, so it is looked for among all.
    expect(compile(executionModel, 'ne(input.x,5)').tail).toContain('WHERE (e.input_values IS NULL OR NOT ');
    const at = 'gte(input.day,2026-01-01T02:00:00.5+02:00)';
    expect(compile(executionModel, at).values).toContain('2026-01-01T00:00:00.500000Z');
  });

  test.each([
    ['like(phase,X)', 'unknown function "like"'],
    ['eq(colour,red)', 'execution has no field "colour"'],
    ['eq(project.name,x)', "can't be joined to execution"],
    ['gt(CreatedAt,yesterday)', 'is no timestamp for "created_at"; write RFC 3339'],
    ['gt(execution_created_at,yesterday)', 'is no timestamp'],
    ['eq(phase,A;B)', 'eq takes one value'],
    ['eq(mode,one)', 'is no integer'],
    ['contains(duration,1)', 'works on text'],
    ['phase=FAILED', 'is no filter'],
    ['eq(a.b.c,1)', 'must be <field> or <entity>.<field>'],
    ['eq(constructor,1)', 'no field "constructor"'],
    ['eq(constructor.name,1)', "can't be joined"],
    ['eq(phase,A\0)', 'NUL'],
    [Array.from({ length: 51 }, () => 'eq(phase,A)').join('+'), 'at most 50'],
    ['eq(name;DROP TABLE executions,1)', 'is no filter'],
  ])('K-30: %s is refused: %s', (filters, message) => {
    expect(refusal(executionModel, filters)).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(message),
    });
  });
});

describe('sort and page (A-195, A-196)', () => {
  test('a sort ends in a tie-breaker', () => {
    const sortBy = { key: 'created_at', direction: Sort_Direction.DESCENDING };
    expect(compile(taskModel, '', { sortBy }).tail).toBe('FROM tasks t ORDER BY t.created_at DESC, t.id DESC LIMIT $1');
  });

  test('runs that have not begun come last either way', () => {
    for (const [direction, order] of [
      [Sort_Direction.DESCENDING, 'DESC'],
      [Sort_Direction.ASCENDING, 'ASC'],
    ] as const)
      expect(compile(executionModel, '', { sortBy: { key: 'started_at', direction } }).tail).toContain(
        `ORDER BY e.started_at ${order} NULLS LAST, e.id ${order}`,
      );
  });

  test('K-30: an unknown sort key is refused', () => {
    expect(refusal(taskModel, '', { sortBy: { key: 'size', direction: 0 } }).message).toContain('sort_by.key');
  });

  test('K-7: limit 0 and a foreign token are refused; projects take limit 0 for all', () => {
    expect(refusal(taskModel, '', { limit: 0 })).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(refusal(taskModel, '', { token: 'abc' })).toMatchObject({ code: 'INVALID_ARGUMENT' });
    const parameters = new SqlParameters();
    const all = compileList({
      model: projectModel,
      parameters,
      where: [],
      unlimited: true,
      request: { filters: '', sortBy: undefined, limit: 0, token: '' },
    });
    expect(all.tail).toBe('FROM projects p ORDER BY p.identifier');
    expect(all.nextToken(3)).toBe('');
  });

  test('the token is the next offset, empty on a short page', () => {
    const { nextToken, values, tail } = compile(taskModel, '', { token: '20' });
    expect(tail).toContain('LIMIT $1 OFFSET $2');
    expect(values).toEqual([10, 20]);
    expect(nextToken(10)).toBe('30');
    expect(nextToken(9)).toBe('');
  });
});

test('what of inputs and outputs can be searched for', () => {
  const text = (value: string) => literalOf.string(value);
  const map = {
    literals: {
      a: literalOf.integer(5n),
      b: literalOf.boolean(true),
      c: text('x'),
      long: text('x'.repeat(513)),
      nul: text('a\0b'),
      huge: literalOf.integer(2n ** 60n),
    },
  };
  expect(searchableValues(LiteralMap.fromPartial(map))).toBe('{"a":5,"b":true,"c":"x"}');
  expect(searchableValues(LiteralMap.encode(LiteralMap.fromPartial({})).finish())).toBeNull();
  expect(searchableValues(null)).toBeNull();
});

test('values: times and durations', () => {
  expect(parseTimestamp('2026-01-01')).toBe('2026-01-01T00:00:00Z');
  expect(parseTimestamp('2026-13-01T00:00:00Z')).toBeUndefined();
  expect(parseDuration('90')).toBe('90000000000');
  expect(parseDuration('1h30m')).toBe('5400000000000');
  expect(parseDuration('-250ms')).toBe('-250000000');
  expect(parseDuration('soon')).toBeUndefined();
});
