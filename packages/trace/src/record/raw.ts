/**
 * The recorder's raw files, read in chunks: a program's file may be larger than the memory of the machine.
 *
 * ```
 *  0                                  4096        4096 + 24        4096 + 24 × used
 *  ├──────────────────────────────────┼───────────────┼─── ╌╌╌ ───────┼╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌
 *  │ magic, version, …, used, name    │ record 0      │               │ a hole
 *  └──────────────────────────────────┴───────────────┴─── ╌╌╌ ───────┴╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌
 *                                      six words a record:
 *                                      kind | log2 align << 8 · thread · address, low and high · size, low and high
 * ```
 *
 * The words are in the machine's own order. `recorder/recorder.c` writes them and explains why their order is
 * the program's.
 */

import { type FileHandle, open } from 'node:fs/promises';
import { RecordError } from './error.ts';

const HEADER_BYTES = 4096;
const VERSION = 1;
/** Words in a record. */
export const RECORD_WORDS = 6;
const RECORD_BYTES: number = 4 * RECORD_WORDS;
const CHUNK_RECORDS = 65536;

const AT_VERSION = 8;
const AT_RECORD_BYTES = 12;
const AT_CAPACITY = 16;
const AT_PID = 24;
const AT_STARTED = 32;
const AT_USED = 64;
const AT_NAME = 128;
const NAME_BYTES = 16;

/** What a record says. 0: claimed by a thread that did not come to write it. */
export const KIND = {
  unfinished: 0,
  malloc: 1,
  calloc: 2,
  aligned: 3,
  free: 4,
  reallocBegin: 5,
  reallocEnd: 6,
  threadExit: 7,
} as const;

/** The beginning of a raw file. */
export interface RawHeader {
  /** Process id. */
  pid: number;
  /** When the process started, in nanoseconds of the monotonic clock. */
  started: bigint;
  /** The name that the program was called by, 15 bytes of it at most. */
  name: string;
  /** Records in the file. */
  records: number;
  /** Records that came after the file was full. */
  lost: number;
}

/**
 * Reads a raw file's header.
 * @returns undefined when the file holds no recording: its process died before it began
 */
export async function readRawHeader(file: string): Promise<RawHeader | undefined> {
  const handle = await open(file);
  try {
    const header = Buffer.alloc(HEADER_BYTES);
    const { bytesRead } = await handle.read(header, 0, HEADER_BYTES, 0);
    if (bytesRead < HEADER_BYTES || header.toString('latin1', 0, 8) !== 'shmalrec') return undefined;
    const version = header.readUInt32LE(AT_VERSION);
    if (version !== VERSION || header.readUInt32LE(AT_RECORD_BYTES) !== RECORD_BYTES) return undefined;
    const used = Number(header.readBigUInt64LE(AT_USED));
    const records = Math.min(used, Number(header.readBigUInt64LE(AT_CAPACITY)));
    const name = header.toString('utf8', AT_NAME, AT_NAME + NAME_BYTES);
    return {
      pid: header.readUInt32LE(AT_PID),
      started: header.readBigUInt64LE(AT_STARTED),
      name: name.slice(0, name.indexOf('\0')),
      records,
      lost: used - records,
    };
  } finally {
    await handle.close();
  }
}

/**
 * The records of a raw file, some tens of thousands at a time.
 * @param file - the raw file
 * @param records - how many it holds, from its header
 * @returns arrays of whole records, {@link RECORD_WORDS} words each; every array is valid until the next is
 *   asked for
 * @throws RecordError when the file ends before that
 */
export async function* rawRecords(file: string, records: number): AsyncGenerator<Uint32Array> {
  const handle: FileHandle = await open(file);
  try {
    const words = new Uint32Array(CHUNK_RECORDS * RECORD_WORDS);
    for (let done = 0; done < records; ) {
      const wanted = Math.min(CHUNK_RECORDS, records - done);
      const position = HEADER_BYTES + done * RECORD_BYTES;
      const { bytesRead } = await handle.read(words, 0, wanted * RECORD_BYTES, position);
      const read = Math.floor(bytesRead / RECORD_BYTES);
      if (read === 0) throw new RecordError(`${file} ends after ${done} of ${records} records`);
      yield words.subarray(0, RECORD_WORDS * read);
      done += read;
    }
  } finally {
    await handle.close();
  }
}
