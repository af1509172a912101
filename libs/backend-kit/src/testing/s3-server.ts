/** An S3 server of this machine, with the bucket `aloft`. */
export interface S3Server {
  endpoint: string;
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
  kill(): Promise<void>;
}

/** Starts one whose data is in that folder. */
export async function startS3(dir: string): Promise<S3Server> {
  const script = new URL('../../../../tools/infra/s3.mjs', import.meta.url).href;
  const { start } = (await import(script)) as { start(options: { dir: string }): Promise<S3Server> };
  return start({ dir });
}
