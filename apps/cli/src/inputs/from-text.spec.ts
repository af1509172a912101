import { typeOf } from '@aloft/literals';
import { literalFromText } from './from-text.js';

const upload = () => Promise.reject(new Error('nothing is uploaded here'));

test('a refusal calls the value what its caller calls it: an option by its flag, a signal in words', async () => {
  await expect(literalFromText(typeOf.integer(), 'x', '--n', upload)).rejects.toThrow('--n must be int');
  await expect(literalFromText(typeOf.integer(), 'x', 'the value of extra', upload)).rejects.toThrow(
    /^the value of extra must be int/,
  );
});
