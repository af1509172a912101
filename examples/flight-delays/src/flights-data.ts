import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { csvParse } from 'd3-dsv';
import { asyncBufferFromFile, parquetMetadataAsync, parquetRead } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { Readable } from 'node:stream';

/** Flights in columns, in order of departure. */
export interface Flights {
  /** Codes of airports; `origin` and `destination` are indexes into it. */
  airports: string[];
  /** Departure in minutes since 1970, in the origin's local time. */
  departure: Float64Array;
  /** Minutes late at arrival; negative is early. */
  delay: Int16Array;
  /** Miles. */
  distance: Int16Array;
  origin: Uint16Array;
  destination: Uint16Array;
}

/** Reads flights from parquet, one row group at a time: three million rows as objects would take a gigabyte. */
export async function readFlights(path: string): Promise<Flights> {
  const file = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file);
  const rows = Number(metadata.num_rows);
  const codes = new Map<string, number>();
  const code = (airport: string): number => {
    let index = codes.get(airport);
    if (index === undefined) codes.set(airport, (index = codes.size));
    return index;
  };
  const flights: Flights = {
    airports: [],
    departure: new Float64Array(rows),
    delay: new Int16Array(rows),
    distance: new Int16Array(rows),
    origin: new Uint16Array(rows),
    destination: new Uint16Array(rows),
  };
  const take: Record<string, (row: number, value: never) => void> = {
    date: (row, value: Date) => (flights.departure[row] = value.getTime() / 60_000),
    delay: (row, value: bigint) => (flights.delay[row] = Number(value)),
    distance: (row, value: bigint) => (flights.distance[row] = Number(value)),
    origin: (row, value: string) => (flights.origin[row] = code(value)),
    destination: (row, value: string) => (flights.destination[row] = code(value)),
  };
  let start = 0;
  for (const group of metadata.row_groups) {
    const end = start + Number(group.num_rows);
    await parquetRead({
      file,
      metadata,
      compressors,
      columns: Object.keys(take),
      rowStart: start,
      rowEnd: end,
      onChunk: ({ columnName, columnData, rowStart }) => {
        const set = take[columnName]!;
        for (let i = 0; i < columnData.length; i++) if (rowStart + i < rows) set(rowStart + i, columnData[i] as never);
      },
    });
    start = end;
  }
  flights.airports = [...codes.keys()];
  return flights;
}

/** Delays beyond these are slips in the records: a flight is not 18 hours early. */
const earliest = -120;
const latest = 24 * 60;

/** Rows that can be true: a distance, two known airports, a possible delay. */
export function possibleRows(flights: Flights, places: ReadonlyMap<string, Place>): Uint32Array {
  const known = flights.airports.map((code) => places.has(code));
  return Uint32Array.from(flights.departure.keys()).filter(
    (row) =>
      flights.distance[row]! > 0 &&
      flights.delay[row]! >= earliest &&
      flights.delay[row]! <= latest &&
      known[flights.origin[row]!]! &&
      known[flights.destination[row]!]!,
  );
}

/** Only the given rows. */
export function pickFlights(flights: Flights, rows: Uint32Array): Flights {
  return {
    airports: flights.airports,
    departure: Float64Array.from(rows, (row) => flights.departure[row]!),
    delay: Int16Array.from(rows, (row) => flights.delay[row]!),
    distance: Int16Array.from(rows, (row) => flights.distance[row]!),
    origin: Uint16Array.from(rows, (row) => flights.origin[row]!),
    destination: Uint16Array.from(rows, (row) => flights.destination[row]!),
  };
}

export interface Place {
  latitude: number;
  longitude: number;
}

export async function readAirports(path: string): Promise<Map<string, Place>> {
  const rows = csvParse(await readFile(path, 'utf8'));
  return new Map(
    rows.map((row) => [row['iata']!, { latitude: Number(row['latitude']), longitude: Number(row['longitude']) }]),
  );
}

/** A table of numbers: one row a flight, the last column says whether it arrived late. */
export interface Table {
  columns: string[];
  rows: number;
  /** Column by column. */
  values: Float32Array[];
}

export const targetColumn = 'late';
/** Days since 1970: what the split goes by; no feature. */
export const dayColumn = 'day';

/** The rows of a table for which the test holds. */
export function filterTable(table: Table, keep: (row: number) => boolean): Table {
  const rows = Array.from({ length: table.rows }, (_, row) => row).filter(keep);
  return {
    columns: table.columns,
    rows: rows.length,
    values: table.values.map((column) => Float32Array.from(rows, (row) => column[row]!)),
  };
}

/** Writes a table as parquet. */
export async function writeTable(path: string, table: Table): Promise<void> {
  const buffer = parquetWriteBuffer({
    columnData: table.columns.map((name, index) => ({ name, data: table.values[index]!, type: 'FLOAT' })),
  });
  await pipeline(Readable.from([Buffer.from(buffer)]), createWriteStream(path));
}

export async function readTable(path: string): Promise<Table> {
  const file = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file);
  const rows = Number(metadata.num_rows);
  const columns = metadata.schema.slice(1).map(({ name }) => name);
  const values = columns.map(() => new Float32Array(rows));
  await parquetRead({
    file,
    metadata,
    compressors,
    onChunk: ({ columnName, columnData, rowStart }) => {
      values[columns.indexOf(columnName)]!.set(columnData as ArrayLike<number>, rowStart);
    },
  });
  return { columns, rows, values };
}

/** Features and target of a table; features row by row, as learners take them. */
export function examplesOf(table: Table): { names: string[]; features: number[][]; late: Float32Array } {
  const names = table.columns.filter((name) => name !== targetColumn && name !== dayColumn);
  const columns = names.map((name) => table.values[table.columns.indexOf(name)]!);
  const features = Array.from({ length: table.rows }, (_, row) => columns.map((column) => column[row]!));
  return { names, features, late: table.values[table.columns.indexOf(targetColumn)]! };
}
