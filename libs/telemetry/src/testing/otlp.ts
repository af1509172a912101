import { BinaryReader } from '@bufbuild/protobuf/wire';

/** A span as a collector gets it. */
export interface CollectedSpan {
  /** Of its resource: `service.name`, `service.instance.id`. */
  service: string;
  instance: string;
  scope: string;
  name: string;
  traceId: string;
  spanId: string;
  /** Empty for a root. */
  parentSpanId: string;
  kind: 'unspecified' | 'internal' | 'server' | 'client' | 'producer' | 'consumer';
  /** Milliseconds since the epoch, with fractions. */
  start: number;
  end: number;
  attributes: Record<string, string | number | boolean>;
  events: string[];
  links: { traceId: string; spanId: string }[];
  failed: boolean;
  /** Message of the status. */
  status: string;
}

const kinds = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'] as const;

type Fields = (field: number, reader: BinaryReader, wire: number) => boolean;

/** Reads a message; `take` says whether it read the field. */
function each(reader: BinaryReader, length: number, take: Fields): void {
  const end = reader.pos + length;
  while (reader.pos < end) {
    const [field, wire] = reader.tag();
    if (!take(field, reader, wire)) reader.skip(wire);
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** The spans of an encoded `opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest`. */
export function decodeTraces(request: Uint8Array): CollectedSpan[] {
  const spans: CollectedSpan[] = [];
  const reader = new BinaryReader(request);
  each(reader, request.length, (field) => {
    if (field !== 1) return false;
    resourceSpans(reader, spans);
    return true;
  });
  return spans;
}

function resourceSpans(reader: BinaryReader, spans: CollectedSpan[]): void {
  const resource: CollectedSpan['attributes'] = {};
  const from = spans.length;
  each(reader, reader.uint32(), (field) => {
    if (field === 1) {
      each(reader, reader.uint32(), (inner) => {
        if (inner === 1) keyValue(reader, resource);
        return inner === 1;
      });
      return true;
    }
    if (field === 2) scopeSpans(reader, spans);
    return field === 2;
  });
  for (const span of spans.slice(from)) {
    span.service = String(resource['service.name'] ?? '');
    span.instance = String(resource['service.instance.id'] ?? '');
  }
}

function scopeSpans(reader: BinaryReader, spans: CollectedSpan[]): void {
  let scope = '';
  const from = spans.length;
  each(reader, reader.uint32(), (field) => {
    if (field === 1) {
      each(reader, reader.uint32(), (inner) => {
        if (inner === 1) scope = reader.string();
        return inner === 1;
      });
      return true;
    }
    if (field === 2) spans.push(span(reader));
    return field === 2;
  });
  for (const each of spans.slice(from)) each.scope = scope;
}

function span(reader: BinaryReader): CollectedSpan {
  const found: CollectedSpan = {
    service: '',
    instance: '',
    scope: '',
    name: '',
    traceId: '',
    spanId: '',
    parentSpanId: '',
    kind: 'unspecified',
    start: 0,
    end: 0,
    attributes: {},
    events: [],
    links: [],
    failed: false,
    status: '',
  };
  const readers: Record<number, () => void> = {
    1: () => (found.traceId = hex(reader.bytes())),
    2: () => (found.spanId = hex(reader.bytes())),
    4: () => (found.parentSpanId = hex(reader.bytes())),
    5: () => (found.name = reader.string()),
    6: () => (found.kind = kinds[reader.int32()] ?? 'unspecified'),
    7: () => (found.start = Number(reader.fixed64()) / 1e6),
    8: () => (found.end = Number(reader.fixed64()) / 1e6),
    9: () => keyValue(reader, found.attributes),
    11: () =>
      each(reader, reader.uint32(), (field) => {
        if (field === 2) found.events.push(reader.string());
        return field === 2;
      }),
    13: () => found.links.push(link(reader)),
    15: () =>
      each(reader, reader.uint32(), (field) => {
        if (field === 2) found.status = reader.string();
        if (field === 3) found.failed = reader.int32() === 2;
        return field === 2 || field === 3;
      }),
  };
  each(reader, reader.uint32(), (field) => {
    readers[field]?.();
    return field in readers;
  });
  return found;
}

function link(reader: BinaryReader): { traceId: string; spanId: string } {
  const found = { traceId: '', spanId: '' };
  each(reader, reader.uint32(), (field) => {
    if (field === 1) found.traceId = hex(reader.bytes());
    if (field === 2) found.spanId = hex(reader.bytes());
    return field === 1 || field === 2;
  });
  return found;
}

function keyValue(reader: BinaryReader, into: CollectedSpan['attributes']): void {
  let key = '';
  let value: string | number | boolean | undefined;
  each(reader, reader.uint32(), (field) => {
    if (field === 1) key = reader.string();
    if (field === 2)
      each(reader, reader.uint32(), (kind) => {
        if (kind === 1) value = reader.string();
        else if (kind === 2) value = reader.bool();
        else if (kind === 3) value = Number(reader.int64());
        else if (kind === 4) value = reader.double();
        else return false;
        return true;
      });
    return field === 1 || field === 2;
  });
  if (value !== undefined) into[key] = value;
}
