import { storeInputs, type Launch } from '@aloft/backend-kit';
import type { BlobStore } from '@aloft/blob';

/** Places that were written last; the items of an array read the same file. */
const kept = 1_000;

/** Puts inputs.pb where the container reads it, unless it is there: each place once. */
export class InputPlacer {
  private readonly placed = new Map<string, Promise<void>>();

  place(launch: Launch, blob: BlobStore): Promise<void> {
    const { inputs, inputsUri } = launch;
    const value = inputs?.value;
    if (inputsUri === '' || (value?.$case === 'stored' && value.value.uri === inputsUri)) return Promise.resolve();
    const known = this.placed.get(inputsUri);
    if (known) return known;
    const placing = storeInputs(launch, blob);
    this.placed.set(inputsUri, placing);
    placing.catch(() => this.placed.delete(inputsUri));
    for (const oldest of this.placed.keys()) {
      if (this.placed.size <= kept) break;
      this.placed.delete(oldest);
    }
    return placing;
  }
}
