/** A worker and the main thread post buffers to one another, while the thread pool compresses, hashes and reads files. */
import crypto from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import zlib from 'node:zlib';

const ROUNDS = 10;
const MESSAGES = 500;

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url));
  let sent = 0;
  const send = () => {
    sent++;
    worker.postMessage({ buffer: Buffer.alloc(200 + ((sent * 37) % 5000), sent), sent });
  };
  worker.on('message', () => (sent < MESSAGES ? send() : worker.postMessage('end')));
  for (let ahead = 0; ahead < 16; ahead++) send();
  const gzip = promisify(zlib.gzip);
  const gunzip = promisify(zlib.gunzip);
  const derive = promisify(crypto.pbkdf2);
  for (let round = 0; round < ROUNDS; round++) {
    const texts = Array.from({ length: 6 }, (_, k) => Buffer.alloc(3000 + 911 * k, `text ${round} ${k}`));
    const back = await Promise.all(texts.map((text) => gzip(text).then(gunzip)));
    await Promise.all([
      derive('password', `salt ${round}`, 10, 32, 'sha256'),
      crypto.subtle.digest('SHA-256', back[0]),
      readdir('/usr/include'),
      readFile('/etc/passwd'),
    ]);
  }
} else {
  parentPort.on('message', (message) => {
    if (message === 'end') return parentPort.close();
    const list = Array.from({ length: message.sent % 20 }, (_, k) => `entry ${k}`);
    parentPort.postMessage({ copy: message.buffer, list });
  });
}
