/** What ends a subcommand: told to people in one line, unless it is empty, and to scripts by the exit code. */
export class CliError extends Error {
  override readonly name: string = 'Failure';
  readonly exitCode: number;

  constructor(message: string, exitCode = 1, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}
