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
  ['%p', [0x1000], '0x1000'],
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
  ['%d', [1e21], '1000000000000000000000'],
  ['%d', [0xffffffff], '4294967295'],
  ['%hd %hhu', [70000, -1], '4464 255'],
  ['%p', [-4096], '0xfffff000'],
  ['%s', [42], '42'],
  ['[%.2s] [%-4.1s]', ['🙂🙂🙂', 'äö'], '[🙂🙂] [ä   ]'],
  ['[%*d]', [], '[%!*(missing)]'],
  ['[%*d] %d', ['wide', 1, 2], '[%!*(wide)] 2'],
  ['[%.*d] %d', [{}, 1, 2], '[%!*([object Object])] 2'],
  ['%.*d', [2], '%!d(missing)'],
  ['%lc', ['€'], '€'],
  ['%n', [1], '%n'],
];

for (const [format, values, expected] of CASES) {
  test(`sprintf(${JSON.stringify(format)}) of ${values.map(describe).join(', ') || 'nothing'} is ${expected}`, (t) => {
    t.is(sprintf(format, ...values), expected);
  });
}

function describe(value: unknown): string {
  return `${typeof value} ${sprintf('%s', value)}`;
}

test('a width that no string has is brought down to one that it can have', (t) => {
  t.is(sprintf('%99999999999d', 1).length, 65535);
  t.is(sprintf('%*s', -1e12, '').length, 65535);
  t.is(sprintf('%.99999999999d', 1).length, 65535);
});

test('a template is whatever String makes of it', (t) => {
  t.is(sprintf(undefined as unknown as string), 'undefined');
  t.is(sprintf(Object.create(null) as string), '[object Object]');
});
