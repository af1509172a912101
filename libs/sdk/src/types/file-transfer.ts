/**
 * Where the files of a task come from and go to. The task's host gives one: blob storage on the platform, a temporary
 * folder when a workflow runs locally.
 */
export interface FileTransfer {
  /** Brings the object, or everything under the prefix, to this machine; answers its local path. */
  download(uri: string, multipart: boolean): Promise<string>;
  /** Stores a local file or folder under the task's raw output prefix; answers its URI. */
  upload(localPath: string, multipart: boolean): Promise<string>;
}

/** For places where no file can occur, e.g. default values at definition time. */
export const noTransfer: FileTransfer = {
  download: (uri) => Promise.reject(new Error(`${uri} cannot be read here: files are read inside tasks.`)),
  upload: (path) =>
    Promise.reject(new Error(`${path} cannot be stored here: files are stored by tasks or at submission.`)),
};
