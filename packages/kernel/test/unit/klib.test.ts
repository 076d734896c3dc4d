import { SharedMemory } from '@shmalloc/allocator-api';
import { Klib, memset, snprintf, sprintf } from '@shmalloc/kernel';
import test from 'ava';
import { bootForTest, program } from '../support/machines.js';

const END = 65536;

function library(): Klib {
  return new Klib(SharedMemory.create({ bytes: END, maxBytes: 2 * END }));
}

test('programs have the C library under its own names, over the memory that their CPUs share', async (t) => {
  const cpus = 4;
  const { machine, lines } = await bootForTest(t, { cpus, allocator: 'tlsf' });
  const results = await machine.run(program('c-library'), new Uint32Array(new SharedArrayBuffer(cpus * 4)));
  for (let cpu = 0; cpu < cpus; cpu++) {
    t.deepEqual(results[cpu], {
      bytes: 13,
      printed: 24,
      length: 13,
      cut: 13,
      copy: 'cpu 0'.replace('0', String(cpu)),
      compared: [0, 0, 0, true],
      offsets: [2, 6, 9, 6, 12, 4, 3, 3],
      built: 'abcdgh',
      moved: 'cpu ',
    });
    t.deepEqual(lines[cpu], [`cpu ${cpu} of many → cpu ${(cpu + 1) % cpus}`]);
  }
});

test('outside of a program there is no memory to write to', (t) => {
  for (const call of [() => memset(8, 0, 8), () => sprintf(8, 'x'), () => snprintf(8, 8, 'x')]) {
    t.throws(call, { name: 'KernelError', code: 'NotOnCpu' });
  }
  t.is(sprintf('%s', 8), '8');
});

test('%s reads at an address, and says when that is none', (t) => {
  const c = library();
  c.strcpy(100, 'grüße');
  t.is(c.sprintf('%s|%8s|%-8s|%.2s', 100, 100, 100, 100), 'grüße|   grüße|grüße   |gr');
  // The precision counts bytes in memory; half a character is left out.
  t.is(c.sprintf('%.3s', 100), 'gr');
  t.is(c.sprintf('%s %.9s', 0, 0), '(null) (null)');
  t.is(c.sprintf('%s %s %s', -8, 1.5, 1e15), '%!s(-8) %!s(1.5) %!s(1000000000000000)');
  t.is(c.sprintf('%s', END), `%!s(${END})`);
  // Without a NUL it ends where the memory does, or where the precision says.
  c.memset(END - 4, 0x61, 4);
  t.is(c.sprintf('%s %.2s', END - 4, END - 4), 'aaaa aa');
});

test('what is printed into memory is UTF-8, and the size counts its bytes', (t) => {
  const c = library();
  t.is(c.sprintf(100, '%s', 'grüße'), 7);
  t.is(c.strlen(100), 7);
  t.is(c.snprintf(200, 3, 'aé€'), 6);
  t.is(c.strlen(200), 2);
  t.is(c.snprintf(0, 0, 'nowhere'), 7);
});

test('memory that another thread has let grow is found', (t) => {
  const c = library();
  const memory = SharedMemory.from(c.memory.source);
  memory.grow(END);
  t.is(c.strcpy(END + 8, 'new'), END + 8);
  t.is(c.sprintf('%s', END + 8), 'new');
  const other = new Klib(SharedMemory.from(c.memory.source));
  t.is(other.strlen(END + 8), 3);
});

test('a wrong address is named, and nothing has been written', (t) => {
  const c = library();
  c.memset(8, 0x7e, END - 8);
  const cases: [RegExp, () => unknown][] = [
    [/memset of 8 bytes at NULL/, () => c.memset(0, 0, 8)],
    [/memset of \[65530, 65538\), which leaves the memory of 65536 bytes/, () => c.memset(END - 6, 0, 8)],
    [/memcpy of \[65530, 65538\)/, () => c.memcpy(8, END - 6, 8)],
    [/memcpy of \[65530, 65538\)/, () => c.memcpy(END - 6, 8, 8)],
    [/memmove of 1 bytes at NULL/, () => c.memmove(8, 0, 1)],
    [/memcmp of \[65535, 65537\)/, () => c.memcmp(8, END - 1, 2)],
    [/memchr of \[65534, 65537\)/, () => c.memchr(END - 2, 1, 3)],
    [/strlen: no NUL from 8 to the end of the memory/, () => c.strlen(8)],
    [/strlen of 1 bytes at NULL/, () => c.strlen(0)],
    [/strnlen: no NUL from 65530/, () => c.strnlen(END - 6, 7)],
    [/strcpy: no NUL from 16/, () => c.strcpy(8, 16)],
    [/strcpy of \[65534, 65537\)/, () => c.strcpy(END - 2, 'ab')],
    [/strncpy of \[65534, 65537\)/, () => c.strncpy(END - 2, 'a', 3)],
    [/strcmp: no NUL from 65530/, () => c.strcmp(END - 6, END - 7)],
    [/strcmp: no NUL from 65530/, () => c.strcmp(END - 7, END - 6)],
    [/strchr: no NUL from 8/, () => c.strchr(8, 1)],
    [/sprintf of \[65534, 65537\)/, () => c.sprintf(END - 2, '%d', 12)],
    [/snprintf of \[65534, 65537\)/, () => c.snprintf(END - 2, 9, '%d', 12)],
  ];
  for (const [message, call] of cases) t.throws(call, { name: 'AllocError', code: 'InvalidParam', message });
  t.true(c.memory.u8.subarray(8).every((byte) => byte === 0x7e));
});

test('an argument of the wrong kind is named', (t) => {
  const c = library();
  t.throws(() => c.memset('8' as unknown as number, 0, 8), {
    instanceOf: TypeError,
    message: /memset: address/,
  });
  t.throws(() => c.memset(8, 0, -1), { instanceOf: RangeError, message: /memset: length .* -1/ });
  t.throws(() => c.memchr(8, 0, 1.5), { instanceOf: RangeError });
  t.throws(() => c.strnlen(8, Number.NaN), { instanceOf: RangeError });
  t.throws(() => c.strncmp(8, 9, -1), { instanceOf: RangeError });
  t.throws(() => c.strncat(8, 'a', -1), { instanceOf: RangeError });
  t.throws(() => c.snprintf(8, -1, 'a'), { instanceOf: RangeError });
  t.throws(() => c.strlen(-1), { instanceOf: RangeError });
});

test('a length of 0 is allowed anywhere', (t) => {
  const c = library();
  t.is(c.memset(0, 1, 0), 0);
  t.is(c.memcpy(0, END, 0), 0);
  t.is(c.memcmp(0, END, 0), 0);
  t.is(c.memchr(END, 1, 0), 0);
  t.is(c.strncmp(END, END, 0), 0);
  t.is(c.strnlen(END, 0), 0);
});
