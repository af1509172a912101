import { AloftError } from '@aloft/errors';

const maxVarintBytes = 10;

/** Reads an encoded message from a stream piece by piece: what is skipped is never held. Ends early → DATA_LOSS. */
export class ProtoStream {
  /** Bytes read so far. */
  position = 0;
  private readonly source: AsyncIterator<Uint8Array>;
  private piece: Uint8Array = new Uint8Array();

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.source = stream[Symbol.asyncIterator]();
  }

  /** Whether another byte follows. */
  async more(): Promise<boolean> {
    while (this.piece.length === 0) {
      const { value, done } = await this.source.next();
      if (done) return false;
      this.piece = value as Uint8Array;
    }
    return true;
  }

  /** @throws DATA_LOSS for one of more than ten bytes, or above what a length can be */
  async varint(): Promise<number> {
    let value = 0;
    for (let i = 0; i < maxVarintBytes; i += 1) {
      const byte = (await this.take(1))[0] as number;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80 && Number.isSafeInteger(value)) return value;
    }
    throw malformed(`a number at byte ${this.position} does not end`);
  }

  async take(length: number): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    await this.each(length, (part) => parts.push(part));
    return Buffer.concat(parts);
  }

  skip(length: number): Promise<void> {
    return this.each(length, () => undefined);
  }

  /** The value of a field whose tag was just read. */
  async skipField(wireType: number): Promise<void> {
    if (wireType === 0) await this.varint();
    else if (wireType === 1) await this.skip(8);
    else if (wireType === 2) await this.skip(await this.varint());
    else if (wireType === 5) await this.skip(4);
    else throw malformed(`wire type ${wireType} at byte ${this.position}`);
  }

  async close(): Promise<void> {
    await this.source.return?.();
  }

  private async each(length: number, use: (part: Uint8Array) => void): Promise<void> {
    for (let left = length; left > 0;) {
      if (!(await this.more())) throw malformed(`it ends at byte ${this.position}, within a value`);
      const part = this.piece.subarray(0, left);
      this.piece = this.piece.subarray(part.length);
      this.position += part.length;
      left -= part.length;
      use(part);
    }
  }
}

function malformed(what: string): AloftError {
  return new AloftError('DATA_LOSS', `no encoded message: ${what}`);
}
