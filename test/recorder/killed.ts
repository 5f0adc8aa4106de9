/**
 * Thrown by every call of a simulated process that is dead. Only the test may catch it and go on. A hook that throws one
 * without a process kills the process it is called for.
 */
export class Killed extends Error {
  override readonly name = "Killed";
  readonly process: string | undefined;

  constructor(process?: string) {
    super(`${process ?? "the process"} was killed`);
    this.process = process;
  }
}
