/** How a filter's text becomes a parameter. `duration`: seconds or a Go duration, in nanoseconds. */
export type ColumnType = 'text' | 'integer' | 'boolean' | 'timestamp' | 'duration';

export interface ListColumn {
  /** Expression over the model's alias. */
  sql: string;
  type: ColumnType;
  /** May hold NULL, which comes last whichever way rows are sorted. (Else an index can serve the order.) */
  nullable?: true;
}

export interface Join {
  model: () => ListModel;
  on: string;
  /** Fields of it that this model's row has itself: its name, since it hangs on that. Filters on them need no other table. */
  own?: Readonly<Record<string, ListColumn>>;
  leading?: LeadingJoin;
}

/**
 * Rows that stand in the order of pages themselves: a list begins with them when filters name them, so that those that fit are read from the
 * front of a narrow index or table, however rare they are.
 */
export interface LeadingJoin {
  /** Joins them to the model's row. */
  on: string;
  /** What sorts a page, as its own columns. */
  order: Readonly<Record<string, string>>;
  /** Absent where a row of the model has one of them at most. */
  many?: ManyRows;
}

/** Of an entity with several rows for one of the model: what a list must be told for beginning with it. */
export interface ManyRows {
  /** Fields of which one must be given (`eq`), and the one that tells rows of a key apart; other filters lead nothing. */
  key: readonly string[];
  value: string;
  /** Holds for one of the rows of a key: with the key alone, a row of the model would be there as often as it has values. */
  once: string;
}

export interface ListModel {
  /** Prefix in filters. */
  entity: string;
  table: string;
  alias: string;
  columns: Readonly<Record<string, ListColumn>>;
  /** Entities that filters may name besides the own one: how they hang on this model's row. */
  joins: Readonly<Record<string, Join>>;
  /** Columns of the model that stand in a table of their own, too. */
  parts?: readonly { model: ListModel; leading: LeadingJoin }[];
  /** Entities whose fields are names that users gave: columns that hold their simple values as JSON (U-20). */
  values?: Readonly<Record<string, string>>;
  /** Ends every ORDER BY, so that pages neither repeat nor skip. */
  tieBreaker: string;
}
