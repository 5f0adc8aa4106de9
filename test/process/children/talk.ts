/** What every child shares: saying something to the test that started it. */

/** Sends a word and what belongs to it. */
export function say(said: string, fields: Readonly<Record<string, unknown>> = {}): void {
  process.send?.({ said, ...fields });
}

/** Runs `heard` for each message of the test. The process ends with the test, unless it ends before. */
export function listen(heard: (said: string, fields: Readonly<Record<string, unknown>>) => void): void {
  process.on("message", (message: Readonly<Record<string, unknown>>) => heard(String(message["said"]), message));
  process.on("disconnect", () => process.exit(3));
}

/** Stands still for so long, or for ever: no turn of the event loop comes. */
export function standStill(milliseconds = Number.POSITIVE_INFINITY): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/** Gives up all rights of the superuser. */
export function becomeUser(user: number): void {
  process.setgroups?.([]);
  process.setgid?.(user);
  process.setuid?.(user);
}

export function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
