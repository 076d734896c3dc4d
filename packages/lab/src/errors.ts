/** The exit codes of `shmalloc`, and the error behind each that is not 0. */

/**
 * 0 everything is fine; 1 the job found violations or failed; 2 the command was used wrongly.
 * @public
 */
export const EXIT = { fine: 0, failed: 1, usage: 2 } as const;

/**
 * The command was used wrongly: a flag, a file or a name that is not there. Ends with exit code 2 and this
 * one line.
 * @public
 */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/**
 * The job could not be done, or its result is bad. Ends with exit code 1 and this one line.
 * @public
 */
export class JobError extends Error {
  override readonly name = 'JobError';
}

/**
 * @param error - whatever was thrown
 * @returns its message on one line
 * @public
 */
export function oneLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.trim().replace(/\s*\n\s*/g, ' ');
}
