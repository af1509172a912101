import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** A running checksum; `digest` once. */
export interface Checksum {
  update(data: Uint8Array): void;
  digest(): Buffer;
}

/** Checksums that clients send as `x-amz-checksum-<name>`, base64. */
const makers: Record<string, () => Checksum> = {
  crc32: () => {
    let value = 0;
    return { update: (data) => void (value = crc32(data, value)), digest: () => uint32(value) };
  },
  crc32c: () => {
    let value = 0xffffffff;
    return {
      update: (data) => {
        for (let i = 0; i < data.length; i++) value = crc32cTable[(value ^ data[i]!) & 0xff]! ^ (value >>> 8);
      },
      digest: () => uint32(~value >>> 0),
    };
  },
  crc64nvme: () => new Crc64(),
  sha1: () => createHash('sha1'),
  sha256: () => createHash('sha256'),
};

export const checksumNames: readonly string[] = Object.keys(makers);

export function createChecksum(name: string): Checksum | undefined {
  return makers[name]?.();
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

const crc32cTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value >>> 0;
});

const crc64Tables = (() => {
  const high = new Uint32Array(256);
  const low = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let value = BigInt(byte);
    for (let bit = 0; bit < 8; bit++) value = value & 1n ? (value >> 1n) ^ 0x9a6c9329ac4bc9b5n : value >> 1n;
    high[byte] = Number(value >> 32n);
    low[byte] = Number(value & 0xffffffffn);
  }
  return { high, low };
})();

/** CRC-64/NVME in two halves: BigInt would be a hundred times slower. */
class Crc64 implements Checksum {
  private high = 0xffffffff;
  private low = 0xffffffff;

  update(data: Uint8Array): void {
    let { high, low } = this;
    for (let i = 0; i < data.length; i++) {
      const index = (low ^ data[i]!) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ crc64Tables.low[index]!;
      high = (high >>> 8) ^ crc64Tables.high[index]!;
    }
    this.high = high;
    this.low = low;
  }

  digest(): Buffer {
    return Buffer.concat([uint32(~this.high), uint32(~this.low)]);
  }
}
