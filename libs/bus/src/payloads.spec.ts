import { envelope } from './envelope.js';
import { payloadOf, rememberPayload } from './payloads.js';

const message = () => envelope({ id: '1', type: 't', key: 'k', payload: Buffer.from('abc') });

describe('payloads', () => {
  it('are decoded once, or taken as their publisher remembered them', () => {
    let decoded = 0;
    const codec = { decode: (bytes: Uint8Array) => ({ length: bytes.length, n: ++decoded }) };
    const [read, written] = [message(), message()];
    expect(payloadOf(read, codec)).toEqual({ length: 3, n: 1 });
    expect(payloadOf(read, codec)).toEqual({ length: 3, n: 1 });
    rememberPayload(written, { length: 3, n: 0 });
    expect(payloadOf(written, codec)).toEqual({ length: 3, n: 0 });
  });

  it('what cannot be decoded is refused each time', () => {
    const codec = {
      decode: (): object => {
        throw new Error('no');
      },
    };
    const broken = message();
    for (let i = 0; i < 2; i++) expect(() => payloadOf(broken, codec)).toThrow('no');
  });
});
