/**
 * mimalloc with a hook before every statement, so that a test can stop a thread, or let it end, anywhere: the
 * compiled files of the package, rewritten.
 *
 * ```
 *   compiled/alloc/free.js               i32[page + Page.used]--;
 *   dist-test/stepped-…/alloc/free.js    { step('alloc/free.js', 'i32[page + Page.used]--;'); i32[page + Page.used]--; }
 * ```
 *
 * What the hook does is `globalThis.mimallocStep`, a function in each thread that gets the file's name and
 * the statement's text.
 */

import { rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type * as mimalloc from '@shmalloc/mimalloc';
import { type AnyNode, parse } from 'acorn';
import MagicString from 'magic-string';
import { writeCompiled } from '../../../alloc-test/dist-test/support/compiled.js';

/** Called before each statement. */
export type Step = (file: string, statement: string) => void;

/** The package, rewritten. */
export type Stepped = typeof mimalloc;

const HOOK = 'mimallocStep';

/** Says what happens before each statement of the rewritten package in this thread; null for nothing. */
export function onStep(step: Step | null): void {
  Reflect.set(globalThis, HOOK, step ?? (() => {}));
}

/** The statements inside functions, outermost first. */
function statementsOf(program: AnyNode): AnyNode[] {
  const found: AnyNode[] = [];
  const visit = (node: AnyNode, inFunction: boolean): void => {
    if (inFunction && /Statement$|^VariableDeclaration$/.test(node.type) && node.type !== 'BlockStatement')
      found.push(node);
    const isFunction = /Function/.test(node.type);
    for (const [key, value] of Object.entries(node)) {
      // The head of a loop and the start of a constructor that calls `super` are no places for a statement.
      if (/^For/.test(node.type) && ['init', 'left'].includes(key)) continue;
      for (const child of Array.isArray(value) ? value : [value])
        if (child !== null && typeof child === 'object' && typeof child.type === 'string')
          visit(child as AnyNode, inFunction || isFunction);
    }
  };
  visit(program, false);
  return found;
}

function rewrite(file: string, text: string): string {
  const out = new MagicString(text);
  for (const node of statementsOf(parse(text, { ecmaVersion: 2022, sourceType: 'module' }))) {
    const call = `globalThis.${HOOK}(${JSON.stringify(file)}, ${JSON.stringify(text.slice(node.start, node.end).split('\n')[0])});`;
    // A declaration must stay in its scope; what stands alone behind an `if` or a loop needs braces.
    if (/^(VariableDeclaration|FunctionDeclaration)$/.test(node.type)) out.appendLeft(node.start, `${call} `);
    else {
      out.appendLeft(node.start, `{ ${call} `);
      out.appendRight(node.end, ' }');
    }
  }
  return out.toString();
}

/**
 * Writes the rewritten package to a folder of its own, where it finds what it imports.
 * @returns the URL of its index
 */
export function writeStepped(
  name: string,
  change: (file: string, text: string) => string = (_, text) => text,
): { url: string; remove(): void } {
  const root = fileURLToPath(new URL(`./stepped-${name}-${process.pid}/`, import.meta.url));
  writeCompiled('mimalloc', root, (file, text) => rewrite(file, change(file, text)));
  onStep(null);
  return {
    url: new URL(`file://${path.join(root, 'index.js')}`).href,
    remove: () => rmSync(root, { recursive: true }),
  };
}

/** The rewritten package. */
export async function importStepped(url: string): Promise<Stepped> {
  return (await import(url)) as Stepped;
}
