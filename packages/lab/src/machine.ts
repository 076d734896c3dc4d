/** What a measurement was made on. */

import os from 'node:os';

/**
 * The machine, as it stands in a report.
 * @public
 */
export interface Machine {
  /** The processor's name. */
  cpu: string;
  /** Processors that this process may use. */
  cores: number;
  /** Bytes of main memory. */
  memoryBytes: number;
  /** Node's version, with the v. */
  node: string;
  /** V8's version. */
  v8: string;
  /** The operating system, its release and architecture. */
  os: string;
  /** When, ISO 8601 in UTC. */
  date: string;
}

/**
 * @returns the machine that this runs on, now
 * @public
 */
export function describeMachine(): Machine {
  return {
    cpu: os.cpus()[0]?.model.trim() || 'unknown',
    cores: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    node: process.version,
    v8: process.versions.v8,
    os: `${os.type()} ${os.release()} ${os.arch()}`,
    date: new Date().toISOString(),
  };
}
