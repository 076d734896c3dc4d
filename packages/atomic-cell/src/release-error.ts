/**
 * Something was given back that no thread held: a free lock unlocked, a borrow released that is not there.
 * The word is as it was.
 * @public
 */
export class ReleaseError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ReleaseError';
  }
}
