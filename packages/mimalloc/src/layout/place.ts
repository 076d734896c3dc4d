/**
 * Where things lie, as the header says it.
 */

import { AllocError, type SharedMemory, type Word } from '@shmalloc/allocator-api';
import type { Place } from '../thread/thread-view.ts';
import { geometryOf } from './geometry.ts';
import { Field, HEADER_WORDS } from './header.ts';
import { HEAP_WORDS } from './heap.ts';
import { retireBits } from './page.ts';
import { rootWords } from './page-map.ts';

const LINE_WORDS = 16;
/** What SHAPE has room for. */
const MAX_RETIRE_CYCLES = 31;
/** See `threads`. */
const MAX_SLOTS = 1000;

/**
 * Reads the header of a region, for a thread that attaches.
 * @throws AllocError `Corrupted` when the tables do not lie where `layOut` puts them
 */
export function placeOf(memory: SharedMemory, header: Word): Place {
  // Before the views: what comes in between is looked for at the first generic allocation.
  const epoch = memory.i32[header + Field.epoch];
  memory.refresh();
  const { i32 } = memory;
  const { chunkShift, segmentShift, sliceShift, slicesPerSegment } = geometryOf(
    i32[header + Field.segmentShift],
  );
  const retireCycles = i32[header + Field.retireCycles] & MAX_RETIRE_CYCLES;
  const place = {
    header,
    errors: header + Field.errors,
    nullWords: Math.min(i32[header + Field.nullWords], header),
    root: i32[header + Field.root],
    chunkShift,
    segmentShift,
    sliceShift,
    slicesPerSegment,
    mediumMax: (2 << sliceShift) * 4,
    emptyPage: i32[header + Field.emptyPage],
    firstSlot: i32[header + Field.heaps],
    slots: i32[header + Field.slots],
    retireCycles,
    retired: retireBits(retireCycles),
    epoch,
    deaths: i32[header + Field.deaths],
  };
  checkPlace(memory, place);
  return place;
}

/**
 * Demands that the tables lie where `layOut` puts them. In secure mode the checksum tells more.
 * @throws AllocError `Corrupted`, naming the word
 */
function checkPlace(memory: SharedMemory, place: Place): void {
  const { header, root, emptyPage, firstSlot, slots } = place;
  if (memory.i32[header + Field.checksum] !== 0) return;
  const demand = (holds: boolean, name: string, found: number): void => {
    if (holds) return;
    throw new AllocError(
      'Corrupted',
      `cannot attach mimalloc at address ${header * 4}: its header was overwritten, ${name} cannot be ${found}`,
    );
  };
  const behindRoot = root + Math.max(LINE_WORDS, rootWords(place.chunkShift));
  demand(root === header + HEADER_WORDS, 'the place of the page map', root * 4);
  demand(emptyPage === behindRoot, 'the place of the empty page', emptyPage * 4);
  // In secure mode there is a line of canaries in between.
  const behindPage = firstSlot - emptyPage - LINE_WORDS;
  demand(behindPage === 0 || behindPage === LINE_WORDS, 'the place of the thread table', firstSlot * 4);
  demand(slots >= 1 && slots <= MAX_SLOTS, 'the number of slots', slots);
  demand(firstSlot + slots * HEAP_WORDS <= memory.i32.length, 'the number of slots', slots);
}
