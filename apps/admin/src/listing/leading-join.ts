import type { FilterGroup, FilterTerm } from './filter-grammar.js';
import type { LeadingJoin, ListModel } from './list-model.js';
import { compileTerm } from './list-terms.js';
import type { SqlParameters } from './sql-parameters.js';
import { compileValueTerm } from './value-filter.js';

/** What a list begins with, and the terms on it. */
export interface Lead {
  join: LeadingJoin;
  model: ListModel;
  groups: readonly FilterGroup[];
  /** A row of the model has one such row that fits at most. */
  single: boolean;
}

/**
 * What a list of these filters, sorted by these columns, begins with: an entity whose key is given by `eq` (and its value by `eq`, or not at
 * all), or a part of the model that stands in a table of its own. `undefined`: the list begins with the model's table.
 */
export function leadingJoin(
  model: ListModel,
  groups: readonly FilterGroup[],
  sortedBy: readonly string[],
): Lead | undefined {
  // An alternative of several terms (OR) leads nothing.
  const terms = groups.filter((group) => group.length === 1);
  const entities = Object.entries(model.joins).flatMap(([entity, { leading, model: other }]) => {
    const own = terms.filter(([term]) => term?.entity === entity);
    return leading ? leadBy(leading, other(), own) : [];
  });
  const parts = (model.parts ?? []).flatMap(({ leading, model: part }) =>
    leadBy(
      leading,
      part,
      terms.filter(([term]) => term && holds(part, term)),
    ),
  );
  const found = [...entities, ...parts].filter(({ join }) => sortedBy.every((column) => column in join.order));
  return found.find(({ single }) => single) ?? found[0];
}

/** Its terms as conditions. */
export function compileLead({ join, model, groups, single }: Lead, parameters: SqlParameters): string[] {
  const terms = groups.flat().map((term) => {
    const values = valuesOf(model, term);
    return values === undefined ? compileTerm(model, term, parameters) : compileValueTerm(values, term, parameters);
  });
  return join.many && !single ? [...terms, join.many.once] : terms;
}

/** Whether what a term asks is told by that table alone: of a run that is not in it, it does not hold. */
function holds(part: ListModel, term: FilterTerm): boolean {
  if (valuesOf(part, term) !== undefined) return !['ne', 'not_like', 'value_not_in'].includes(term.function);
  return (term.entity ?? part.entity) === part.entity && Object.hasOwn(part.columns, term.field);
}

/** The column of values by name that a term asks for one of. */
function valuesOf({ values = {} }: ListModel, { entity }: FilterTerm): string | undefined {
  return entity !== undefined && Object.hasOwn(values, entity) ? values[entity] : undefined;
}

function leadBy(join: LeadingJoin, model: ListModel, groups: readonly FilterGroup[]): Lead[] {
  if (groups.length === 0) return [];
  const { many } = join;
  if (!many) return [{ join, model, groups, single: true }];
  const given = (fields: readonly string[]) =>
    groups.flat().filter((term) => term.function === 'eq' && fields.includes(term.field)).length;
  const [keys, values] = [given(many.key), given([many.value])];
  if (keys !== 1 || values > 1 || keys + values !== groups.length) return [];
  return [{ join, model, groups, single: values === 1 }];
}
