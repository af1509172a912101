/**
 * Names in an encoded `flyteidl.core.LiteralMap`, without decoding its values: what is needed of outputs that stay in
 * blob storage. Throws with the place where the bytes stop being such a map.
 */
export function scanLiteralNames(bytes: Uint8Array): string[] {
  const names: string[] = [];
  const reader = new FieldReader(bytes, 0, bytes.length);
  for (let field = reader.next(); field; field = reader.next()) {
    // LiteralMap.literals = 1, a map: entries of key = 1, value = 2.
    if (field.number !== 1) continue;
    if (field.wire !== 2) throw new Error(`field 1 at byte ${field.at} has wire type ${field.wire}, not 2`);
    const entry = new FieldReader(bytes, field.start, field.end);
    let name = '';
    for (let part = entry.next(); part; part = entry.next()) {
      if (part.number === 1 && part.wire === 2) name = utf8.decode(bytes.subarray(part.start, part.end));
      else if (part.number === 2) checkFields(bytes, part.start, part.end);
    }
    names.push(name);
  }
  return names;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function checkFields(bytes: Uint8Array, start: number, end: number): void {
  const reader = new FieldReader(bytes, start, end);
  while (reader.next());
}

interface Field {
  number: number;
  wire: number;
  at: number;
  start: number;
  end: number;
}

class FieldReader {
  constructor(
    private readonly bytes: Uint8Array,
    private position: number,
    private readonly end: number,
  ) {}

  next(): Field | undefined {
    if (this.position >= this.end) return undefined;
    const at = this.position;
    const tag = this.varint();
    const number = Math.floor(tag / 8);
    const wire = tag % 8;
    if (number < 1 || number > 0x1fffffff) throw new Error(`no field has the number ${number} (byte ${at})`);
    let length: number;
    if (wire === 0) {
      const start = this.position;
      this.varint();
      return { number, wire, at, start, end: this.position };
    } else if (wire === 1) length = 8;
    else if (wire === 2) length = this.varint();
    else if (wire === 5) length = 4;
    else throw new Error(`wire type ${wire} at byte ${at} does not exist`);
    const start = this.position;
    if (length > this.end - start)
      throw new Error(`field ${number} at byte ${at} claims ${length} bytes, ${this.end - start} are left`);
    this.position = start + length;
    return { number, wire, at, start, end: this.position };
  }

  private varint(): number {
    let value = 0;
    for (let shift = 1, count = 0; count < 10; count++, shift *= 128) {
      if (this.position >= this.end) throw new Error(`the bytes end within a number (byte ${this.position})`);
      const byte = this.bytes[this.position++] as number;
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
    throw new Error(`a number before byte ${this.position} is longer than ten bytes`);
  }
}
