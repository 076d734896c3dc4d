import { sprintf } from '@shmalloc/kernel';
import test from 'ava';

const CASES: readonly [format: string, values: unknown[], expected: string][] = [
  ['plain', [], 'plain'],
  ['%d %i', [42, -7], '42 -7'],
  ['%d', [3.9], '3'],
  ['%d', [-0.5], '0'],
  ['%d', [2 ** 40], '1099511627776'],
  ['%d', [-(2n ** 70n)], '-1180591620717411303424'],
  ['%d', [true], '1'],
  ['%u', [-1], '4294967295'],
  ['%u', [-1n], '18446744073709551615'],
  ['%x %X', [0xbeef, 0xbeef], 'beef BEEF'],
  ['%x', [-1], 'ffffffff'],
  ['%p', [0x1000], '0x00001000'],
  ['%p', [2 ** 32], '0x100000000'],
  ['%s', ['ä🙂'], 'ä🙂'],
  ['%s %s %s', [null, undefined, [1, 2]], 'null undefined 1,2'],
  ['%s', [Symbol('s')], 'Symbol(s)'],
  ['%c%c%c', [65, 'b€', 0x1f642], 'Ab🙂'],
  ['%c', [''], ' '],
  ['%c', [-1], '\ufffd'],
  ['100%%', [], '100%'],
  ['[%5d]', [42], '[   42]'],
  ['[%-5d]', [42], '[42   ]'],
  ['[%05d]', [-42], '[-0042]'],
  ['[%-05d]', [42], '[42   ]'],
  ['[%08x]', [0xbeef], '[0000beef]'],
  ['[%05s]', ['ab'], '[   ab]'],
  ['[%4s]', ['🙂'], '[   🙂]'],
  ['[%2d]', [12345], '[12345]'],
  ['%ld %lu %zu %llx', [1, 2, 3, 255], '1 2 3 ff'],
  ['%d', [], '%!d(missing)'],
  ['%05d', ['abc'], '%!d(abc)'],
  ['%x', [Number.NaN], '%!x(NaN)'],
  ['%d', [{}], '%!d([object Object])'],
  ['%s', [Object.create(null)], '[object Object]'],
  ['%q %', [1], '%q %'],
];

for (const [format, values, expected] of CASES) {
  test(`sprintf(${JSON.stringify(format)}) of ${values.map(describe).join(', ') || 'nothing'} is ${expected}`, (t) => {
    t.is(sprintf(format, ...values), expected);
  });
}

function describe(value: unknown): string {
  return `${typeof value} ${sprintf('%s', value)}`;
}
