import { createLogger } from '@aloft/telemetry';
import { createS3BlobStore, createS3Endpoint } from './index.js';
import { blobStoreContract, temporaryBlobStore } from './testing/index.js';

const credentials = { accessKeyId: 'aloft', secretAccessKey: 'a very secret key/+' };

async function embedded() {
  const logger = createLogger('test', { level: 'silent' });
  const endpoint: { url?: string } = {};
  const { store, close } = temporaryBlobStore({ endpoint: () => endpoint.url, credentials });
  const server = createS3Endpoint({ objects: store.objects, credentials, logger });
  endpoint.url = await server.listen(0);
  return { store, url: endpoint.url, close: async () => (await server.close(0), close()) };
}

blobStoreContract('local', embedded);

blobStoreContract('s3 over the embedded endpoint', async () => {
  const { url, close } = await embedded();
  const store = createS3BlobStore({ buckets: ['aloft'], endpoint: url, credentials });
  return { store, close: async () => (store.close(), close()) };
});
