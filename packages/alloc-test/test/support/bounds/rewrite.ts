/**
 * Code with a check at every access to a view:
 *
 * ```
 *   i32[page + USED]--;                          i32[$at(i32, page + USED, $places, 7)]--;
 *   Atomics.or(i32, word, bit);                  Atomics.or(i32, $at(i32, (word), $places, 8), bit);
 *   u8.fill(0, from, to);                        $range(u8, 'fill', $places, 9, 0, from, to);
 *   tld.crossings.claim(word, 0, name)           $cross(tld.crossings, 'claim', $places, 10, word, 0, name)
 * ```
 *
 * What is not a typed array when the code runs passes unchecked. The object of an access is evaluated once,
 * before the index, as in the original: a view that the index's own evaluation makes stale is a stale view
 * here, too. Lines keep their numbers.
 */

import type { AnyNode, CallExpression, Expression, MemberExpression } from 'acorn';
import { parse } from 'acorn';
import { ancestor } from 'acorn-walk';
import MagicString from 'magic-string';
import { CROSSING_METHODS, type Place, RANGE_METHODS } from './check.ts';
import { DECLARED, type Declaration } from './declared.ts';

/** What the rewritten code imports. */
const CHECKS: string = new URL('./check.js', import.meta.url).href;

/** Functions of `Atomics` that take no view. */
const VIEWLESS = ['isLockFree', 'pause'];

/** What came of a file. */
export interface Rewritten {
  readonly text: string;
  readonly places: readonly Place[];
}

/** Whether evaluating it twice is the same as once: names, and fields of names. */
function isPure(node: AnyNode): boolean {
  if (node.type === 'Identifier' || node.type === 'ThisExpression') return true;
  return node.type === 'MemberExpression' && !node.computed && !node.optional && isPure(node.object);
}

/** The name of a method, for a call of one; nothing for other calls. */
function methodOf({ callee }: CallExpression): string | undefined {
  if (callee.type !== 'MemberExpression' || callee.computed || callee.optional) return undefined;
  if (callee.object.type === 'Super' || callee.property.type !== 'Identifier') return undefined;
  return callee.property.name;
}

/** Whether something is called `crossings`, or is another thread's `crossings`. */
function isCrossings(node: AnyNode): boolean {
  if (node.type === 'Identifier') return node.name === 'crossings';
  if (node.type !== 'MemberExpression' || node.computed) return false;
  return 'name' in node.property && node.property.name === 'crossings';
}

/** Whether an access writes, given what stands around it, innermost last. */
function isWrite(node: AnyNode, ancestors: readonly AnyNode[]): boolean {
  const around = ancestors.at(-2);
  if (around === undefined) return false;
  if (around.type === 'UpdateExpression') return true;
  if (around.type === 'AssignmentExpression') return around.left === node;
  return (
    /Pattern|^ForOf|^ForIn/.test(around.type) ||
    (around.type === 'UnaryExpression' && around.operator === 'delete')
  );
}

/**
 * Rewrites a module.
 * @param file - what findings call it: `mimalloc/free.js`
 * @param declared - the accesses that may go beyond their view
 */
export function rewrite(
  file: string,
  source: string,
  declared: readonly Declaration[] = DECLARED,
): Rewritten {
  const out = new MagicString(source);
  const places: Place[] = [];
  const program = parse(source, { ecmaVersion: 'latest', sourceType: 'module', locations: true });

  const placeOf = (node: AnyNode, writes: boolean): string => {
    const expression = source.slice(node.start, node.end).replace(/\s+/g, ' ');
    // What is written beyond a view is lost: there is no permission for that.
    const nth = writes ? -1 : declared.findIndex((one) => one.file === file && one.expression === expression);
    const place = { line: node.loc?.start.line ?? 0, expression, writes, ...(nth >= 0 && { declared: nth }) };
    return `$places, ${places.push(place) - 1}`;
  };
  /** Text that stands for the value of an expression a second time: itself, or where it is kept. */
  const again = (node: Expression | AnyNode): string => {
    if (isPure(node)) return source.slice(node.start, node.end);
    out.prependRight(node.start, '($kept = (').appendLeft(node.end, '))');
    return '$kept';
  };
  const checkIndex = (view: AnyNode, index: AnyNode, place: string): void => {
    const text = again(view);
    out.prependRight(index.start, `$at(${text}, (`).appendLeft(index.end, `), ${place})`);
  };
  const replaceCall = (call: CallExpression, method: string, by: string, place: string): void => {
    const { callee } = call;
    const dot = source.lastIndexOf('.', (callee as MemberExpression).property.start);
    const open = source.indexOf('(', callee.end) + 1;
    out.prependRight(callee.start, `${by}(`).overwrite(dot, open, `, '${method}', ${place}, `);
  };

  ancestor(program, {
    MemberExpression(node, _, ancestors) {
      if (
        !node.computed ||
        node.object.type === 'Super' ||
        (node.property.type === 'Literal' && typeof node.property.value === 'string')
      )
        return;
      checkIndex(node.object, node.property, placeOf(node, isWrite(node, ancestors)));
    },
    CallExpression(node) {
      const { callee } = node;
      if (callee.type === 'Identifier' && callee.name === 'crossingsFor') {
        out
          .prependRight(callee.start, '$crossings(')
          .overwrite(callee.end, source.indexOf('(', callee.end) + 1, ', ');
        return;
      }
      const method = methodOf(node);
      if (method === undefined || callee.type !== 'MemberExpression') return;
      if (callee.object.type === 'Identifier' && callee.object.name === 'Atomics') {
        const [view, index] = node.arguments;
        if (!VIEWLESS.includes(method))
          checkIndex(view, index, placeOf(node, !['load', 'wait'].includes(method)));
      } else if (CROSSING_METHODS.includes(method) && isCrossings(callee.object))
        replaceCall(node, method, '$cross', placeOf(node, method !== 'load'));
      else if (RANGE_METHODS.includes(method)) replaceCall(node, method, '$range', placeOf(node, true));
    },
  });
  const names = 'at as $at, range as $range, cross as $cross, crossings as $crossings';
  const table = JSON.stringify({ file, list: places });
  // `var`: in a circle of imports a function may be called before its module has run.
  out.prepend(`import { ${names} } from ${JSON.stringify(CHECKS)}; var $kept, $places = ${table}; `);
  return { text: out.toString(), places };
}
