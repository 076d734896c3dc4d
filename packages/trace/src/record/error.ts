/**
 * A recording that could not be made. The message is one line for the person at the terminal.
 * @public
 */
export class RecordError extends Error {
  override name = 'RecordError';
}
