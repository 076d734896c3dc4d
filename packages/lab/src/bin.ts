#!/usr/bin/env node
/** The command `shmalloc`. */

import { main } from './cli.ts';

// The reader of a pipe may leave early (`shmalloc trace info x | head`).
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await main(process.argv.slice(2));
