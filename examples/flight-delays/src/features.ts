import { dayColumn, targetColumn, type Flights, type Place, type Table } from './flights-data.js';

/** Minutes after which an arrival counts as late: the U.S. Department of Transportation's definition. */
export const lateFrom = 15;

/**
 * What is known when the aircraft leaves the gate, and nothing that is known later. `date` in the data is the time of
 * departure, so the time of day is known by then; how late flights from the same airport have been counts only once they
 * have surely landed. All times compared are local to one airport, so time zones do not matter.
 */
export const featureNames = [
  'minute_of_day',
  'day_of_week',
  'distance',
  'origin_latitude',
  'origin_longitude',
  'destination_latitude',
  'destination_longitude',
  'origin_size',
  'destination_size',
  'departures_last_hour',
  'landed_late_share',
  'landed_mean_delay',
] as const;

/** Hours of landed flights that count for how an airport is doing. */
const memoryMinutes = 4 * 60;
/** Flights that the long-run share weighs as much as, so that a quiet airport does not jump between 0 and 1. */
const priorWeight = 10;
const priorLate = 0.2;

/** Surely landed by then: taxiing and a slow cruise on top of the distance, and any delay is in the air by then. */
const landedAfter = (miles: number): number => 45 + miles / 6;

export function buildFeatures(flights: Flights, places: ReadonlyMap<string, Place>, rows: Uint32Array): Table {
  const known = flights.airports.map((code) => places.get(code));
  // Of the whole period: how much flies from where is in the published schedule, long before any departure.
  const size = new Float64Array(flights.airports.length);
  for (const origin of flights.origin) size[origin]!++;
  const wanted = new Uint8Array(flights.departure.length);
  for (const row of rows) wanted[row] = 1;
  const columns = [dayColumn, ...featureNames, targetColumn];
  const values = columns.map(() => new Float32Array(rows.length));
  let at = 0;
  for (const row of inOrderOfOrigin(flights, wanted)) {
    const { index, departures, landed } = row;
    const departure = flights.departure[index]!;
    const day = Math.floor(departure / 1440);
    const from = known[flights.origin[index]!];
    const to = known[flights.destination[index]!];
    const put = [
      day,
      departure - day * 1440,
      // 1970-01-01 was a Thursday; 0 is Monday.
      (day + 3) % 7,
      flights.distance[index]!,
      from?.latitude ?? 0,
      from?.longitude ?? 0,
      to?.latitude ?? 0,
      to?.longitude ?? 0,
      Math.log10(1 + size[flights.origin[index]!]!),
      Math.log10(1 + size[flights.destination[index]!]!),
      departures,
      (landed.late + priorWeight * priorLate) / (landed.count + priorWeight),
      landed.delay / (landed.count + priorWeight),
      flights.delay[index]! >= lateFrom ? 1 : 0,
    ];
    put.forEach((value, column) => (values[column]![at] = value));
    at++;
  }
  return { columns, rows: at, values };
}

interface Surroundings {
  index: number;
  /** From the same airport in the hour before. */
  departures: number;
  landed: { count: number; late: number; delay: number };
}

/** Walks each airport's departures in order of time and keeps count of what has happened there. */
function* inOrderOfOrigin(flights: Flights, wanted: Uint8Array): Generator<Surroundings> {
  const { departure, delay, distance, origin } = flights;
  const order = Uint32Array.from(departure.keys()).sort(
    (a, b) => origin[a]! - origin[b]! || departure[a]! - departure[b]! || a - b,
  );
  for (let start = 0; start < order.length;) {
    let end = start;
    while (end < order.length && origin[order[end]!] === origin[order[start]!]) end++;
    const own = order.subarray(start, end);
    const landings = Float64Array.from(
      own,
      (index) => departure[index]! + landedAfter(distance[index]!) + Math.max(0, delay[index]!),
    );
    const byLanding = Uint32Array.from(own.keys()).sort((a, b) => landings[a]! - landings[b]! || a - b);
    const landed = { count: 0, late: 0, delay: 0 };
    let hourStart = 0;
    let next = 0;
    let oldest = 0;
    const account = (position: number, sign: 1 | -1): void => {
      const index = own[byLanding[position]!]!;
      landed.count += sign;
      landed.late += delay[index]! >= lateFrom ? sign : 0;
      landed.delay += sign * delay[index]!;
    };
    for (let position = 0; position < own.length; position++) {
      const index = own[position]!;
      const now = departure[index]!;
      while (departure[own[hourStart]!]! < now - 60) hourStart++;
      while (next < own.length && landings[byLanding[next]!]! <= now) account(next++, 1);
      while (oldest < next && landings[byLanding[oldest]!]! < now - memoryMinutes) account(oldest++, -1);
      if (wanted[index]) yield { index, departures: position - hourStart, landed };
    }
    start = end;
  }
}
