/**
 * No thread waits: what can be read from the source. What can be seen by stopping threads is in
 * `freeze.test.ts`.
 */
import { type AnyNode, parse } from 'acorn';
import test from 'ava';
import { compiledFiles } from '../../../alloc-test/dist-test/support/compiled.js';

/** With those of `thread-heap`. */
const FILES = [...compiledFiles('mimalloc')];

/** The loops of a program, as text. */
function loopsOf(text: string): string[] {
  const found: string[] = [];
  const visit = (node: AnyNode): void => {
    if (/^(For|While|DoWhile)Statement$/.test(node.type)) found.push(text.slice(node.start, node.end));
    for (const value of Object.values(node))
      for (const child of Array.isArray(value) ? value : [value])
        if (child !== null && typeof child === 'object' && typeof child.type === 'string')
          visit(child as AnyNode);
  };
  visit(parse(text, { ecmaVersion: 2022, sourceType: 'module' }));
  return found;
}

/** Loops that look at a word which others change, again and again, and change nothing themselves. */
function waitingLoops(text: string): string[] {
  return loopsOf(text).filter(
    (loop) => /crossings\.load|Atomics\.load/.test(loop) && !/crossings\.claim|compareExchange/.test(loop),
  );
}

test('nothing in this package sleeps, spins or takes a lock', (t) => {
  t.true(FILES.length > 40);
  for (const [file, whole] of FILES) {
    const text = whole.replaceAll(/\/\*[\s\S]*?\*\//g, '');
    t.notRegex(text, /Atomics\.(wait|pause|notify)|SpinLock|Mutex|backOff|\.tryLock|\.lock\(/, file);
  }
});

test('a loop that looks at a shared word tries to change it each time: it goes on only because somebody else got further', (t) => {
  let loops = 0;
  for (const [file, text] of FILES) {
    loops += loopsOf(text).length;
    // Walks along a list have a load as their start, and end with the list.
    const walks = /^for \(let (heap|block) = (tld\.)?crossings\.load|^for \(let (heap|block) = Atomics\.load/;
    t.deepEqual(
      waitingLoops(text).filter((loop) => !walks.test(loop)),
      [],
      file,
    );
  }
  t.true(loops > 50);
});

test('a loop that waits is found', (t) => {
  t.is(waitingLoops('while (crossings.load(place) !== 0) { spins++; }').length, 1);
  t.is(waitingLoops('do { seen = Atomics.load(i32, 1); } while (seen === BUSY);').length, 1);
  t.is(
    waitingLoops('for (;;) { const head = crossings.load(1); if (crossings.claim(1, head, 2)) break; }')
      .length,
    0,
  );
});
