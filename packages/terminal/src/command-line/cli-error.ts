// Error that ends a subcommand with a message for the user and an exit code.
/** The message is printed as one line, unless it is empty. */
export class CliError extends Error {
  override readonly name: string = 'Failure';
  readonly exitCode: number;

  constructor(message: string, exitCode = 1, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}
