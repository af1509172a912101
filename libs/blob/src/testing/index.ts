import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalBlobStore, type LocalBlobStore, type LocalBlobStoreOptions } from '../local/local-blob-store.js';

export * from './contract.js';

/** A local store in a folder of its own, which `close` removes. */
export function temporaryBlobStore(options: Partial<LocalBlobStoreOptions> = {}): {
  store: LocalBlobStore;
  dir: string;
  close(): void;
} {
  const dir = mkdtempSync(join(tmpdir(), 'aloft-blob-'));
  const store = createLocalBlobStore({ dir, durable: false, ...options });
  return { store, dir, close: () => rmSync(dir, { recursive: true, force: true }) };
}
