import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobAccess } from '@aloft/blob';
import { stringify } from 'yaml';

export const clientConfigName = 'flytekit.yaml';

/**
 * Writes `<data dir>/flytekit.yaml`, which stock flytekit takes as it is (`pyflyte --config`): the address, and the keys with which
 * it reads and writes raw data itself. Readable by its owner only.
 */
export async function writeClientConfig(
  dataDir: string,
  { grpcAddress, publicUrl, storage }: { grpcAddress: string; publicUrl: string; storage: BlobAccess },
): Promise<void> {
  const path = join(dataDir, clientConfigName);
  const config = {
    admin: { endpoint: `dns:///${grpcAddress}`, insecure: true },
    console: { endpoint: publicUrl },
    storage: {
      type: 'minio',
      connection: {
        endpoint: storage.endpoint,
        'access-key': storage.accessKeyId,
        'secret-key': storage.secretAccessKey,
      },
    },
  };
  await writeFile(path, stringify(config), { mode: 0o600 });
  await chmod(path, 0o600);
}
