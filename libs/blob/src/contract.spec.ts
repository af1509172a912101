import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { createLogger } from '@aloft/telemetry';
import { createS3Endpoint } from './index.js';
import { createS3BlobStore } from './s3/s3-blob-store.js';
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
  const store = createS3BlobStore({ buckets: ['aloft'], endpoint: url, credentials, pageSize: 10 });
  return { store, close: async () => (store.close(), close()) };
});

// Another server of S3, by ALOFT_TEST_S3=http://<key>:<secret>@<host>:<port>: what passes here is S3 and not only ours.
const foreign = process.env.ALOFT_TEST_S3 && new URL(process.env.ALOFT_TEST_S3);
if (foreign)
  blobStoreContract(`s3 over ${foreign.host}`, async () => {
    const keys = { accessKeyId: foreign.username, secretAccessKey: foreign.password };
    const bucket = `aloft-${Date.now()}`;
    const client = new S3Client({
      endpoint: foreign.origin,
      forcePathStyle: true,
      region: 'us-east-1',
      credentials: keys,
    });
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    client.destroy();
    const store = createS3BlobStore({ buckets: [bucket], endpoint: foreign.origin, credentials: keys, pageSize: 10 });
    return { store, close: async () => store.close() };
  });
