/**
 * What the allocators with a heap for each thread share.
 *
 * ```
 *   thread-view.ts    what a thread sees of a region: views that reach, errors that are told
 *   names.ts          a name for each thread, of which its slot can be told
 *   slots.ts          a table of records that threads claim
 *   page-map.ts       the root: from an address to the table of its chunk
 *   remote-frees.ts   lists onto which other threads free, and how a page's owner gathers them
 * ```
 *
 * @packageDocumentation
 */

export { FIRST_NAME, MAX_NAME, MAX_SLOTS, nameOf, slotOf } from './names.ts';
export { descriptorAt, NO_TABLE, rootEntry, tableOf } from './page-map.ts';
export {
  cutRemoteFrees,
  gatherRemoteFrees,
  type LinkReader,
  type LinkWriter,
  type RemoteView,
} from './remote-frees.ts';
export { type ClaimedSlot, claimSlot, recordOf, type SlotTable } from './slots.ts';
export { ThreadView } from './thread-view.ts';
