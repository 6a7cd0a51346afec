// The standard streams and environment of the process, passed in so that tests can replace them.
/** `process` has this shape. */
export interface ProcessIO {
  stdin: NodeJS.ReadStream;
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
  env: NodeJS.ProcessEnv;
}
