import { catalogDatasetVersion, catalogTag, literalOf } from './index.js';

test('C-90: the tag of no inputs is that of Flyte', () => {
  expect(catalogTag({ literals: {} })).toBe('flyte_cached-GKw-c0PwFokMUQ6T-TUmEWnZ4_VlQ2Qpgw-vCTT0-OQ');
});
