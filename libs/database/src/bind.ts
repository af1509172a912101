/** What of `pg`'s connections this needs; `stream` is corked while a statement is sent. */
export interface BindingConnection {
  stream: { readonly writable: boolean; write(chunk: Uint8Array): unknown };
  bind(message: BindMessage): unknown;
}

interface BindMessage {
  portal?: string;
  statement?: string;
  values?: readonly unknown[];
  binary?: boolean;
  valueMapper?: (value: unknown, index: number) => Uint8Array | string | null;
}

/** Parameters from this size on go out as they are, in a chunk of their own. */
const largeBytes = 4096;

const bindCode = 0x42;

/**
 * Lets a connection send parameters without copying them. `pg` writes each message into a buffer that grows by half: a commit's arrays are copied
 * three times, into memory outside the heap, whose growth is what makes V8 collect all of it. Here the message has its size from the
 * beginning, and large buffers are only referred to: they must not change until their statement is answered.
 */
export function bindWithoutCopies(connection: BindingConnection): void {
  connection.bind = (message) => {
    const values = mapped(message);
    const { stream } = connection;
    if (!stream.writable) return false;
    let written = true;
    for (const chunk of chunksOf(message, values)) written = stream.write(chunk) !== false;
    return written;
  };
}

function mapped({ values = [], valueMapper }: BindMessage): (Uint8Array | string | null)[] {
  return values.map((value, index) => (valueMapper ? valueMapper(value, index) : (value as string)) ?? null);
}

/** The message Bind, see "Message Formats" in Postgres' manual. */
function chunksOf(
  { portal = '', statement = '', binary = false }: BindMessage,
  values: readonly (Uint8Array | string | null)[],
): Uint8Array[] {
  const sizes = values.map((value) =>
    value === null ? 0 : typeof value === 'string' ? Buffer.byteLength(value) : value.length,
  );
  const names = Buffer.byteLength(portal) + Buffer.byteLength(statement) + 2;
  const length = 4 + names + 2 + 2 * values.length + 2 + 4 * values.length + 4 + sum(sizes);
  const copied = 1 + length - sum(sizes.filter((_, i) => isLarge(values[i])));
  const chunks: Uint8Array[] = [];
  const head = Buffer.allocUnsafe(copied);
  let from = 0;
  let at = head.writeUInt8(bindCode, 0);
  at = head.writeInt32BE(length, at);
  for (const name of [portal, statement]) at = head.writeUInt8(0, at + head.write(name, at));
  at = head.writeInt16BE(values.length, at);
  for (const value of values) at = head.writeInt16BE(typeof value === 'string' || value === null ? 0 : 1, at);
  at = head.writeInt16BE(values.length, at);
  for (const [i, value] of values.entries()) {
    const size = sizes[i] as number;
    at = head.writeInt32BE(value === null ? -1 : size, at);
    if (isLarge(value)) {
      chunks.push(head.subarray(from, at), value);
      from = at;
      continue;
    }
    if (typeof value === 'string') head.write(value, at);
    else if (value !== null) head.set(value, at);
    at += size;
  }
  // One format for all columns of the result.
  at = head.writeInt16BE(1, at);
  at = head.writeInt16BE(binary ? 1 : 0, at);
  chunks.push(head.subarray(from, at));
  return chunks;
}

const isLarge = (value: unknown): value is Uint8Array => value instanceof Uint8Array && value.length >= largeBytes;

const sum = (sizes: readonly number[]): number => sizes.reduce((total, size) => total + size, 0);
