/** The repository as its reader sees it: documents, sources, and what is in them. */

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../../', import.meta.url));

/** Files below a folder, of one kind; what is installed or built is not ours. */
function filesIn(folder: string, ending: string): string[] {
  return readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)).replaceAll(path.sep, '/'))
    .filter(
      (file) => !/(^|\/)(node_modules|dist|dist-test|compiled|generated|coverage|out|etc|temp)\//.test(file),
    );
}

/** A file's text, by its path from the root. */
export function textOf(file: string): string {
  return readFileSync(path.join(root, file), 'utf8');
}

export const sources: readonly string[] = [...filesIn('packages', '.ts'), ...filesIn('examples', '.ts')];

export const documents: readonly string[] = [
  ...filesIn('docs', '.md'),
  ...filesIn('packages', '.md'),
  ...filesIn('examples', '.md'),
  'README.md',
  'CONTRIBUTING.md',
].filter((file) => !file.endsWith('.zh.md'));

/** Every file and folder, by its path from the root. */
export const files: ReadonlySet<string> = new Set(
  ['packages', 'examples', 'docs', 'scripts', '.ci']
    .flatMap((folder) => filesIn(folder, ''))
    .concat(readdirSync(root))
    .flatMap((file) => file.split('/').map((_, index, parts) => parts.slice(0, index + 1).join('/'))),
);

/** The comments of a file, a line each, with its number. */
export function commentLines(file: string): [line: number, text: string][] {
  const lines: [number, string][] = [];
  let inside = false;
  textOf(file)
    .split('\n')
    .forEach((text, index) => {
      const begins = /^\s*\/\*/.test(text);
      if (inside || begins || /^\s*\/\//.test(text)) lines.push([index + 1, text]);
      if (begins || inside) inside = !text.includes('*/');
    });
  return lines;
}

/** A file without its comments. */
export function codeOf(file: string): string {
  const comments = new Set(commentLines(file).map(([line]) => line));
  return textOf(file)
    .split('\n')
    .filter((_, index) => !comments.has(index + 1))
    .join('\n');
}

/** The lines of pictures: fenced passages of a document, or of a file's comments, that are no code. */
export function pictureLines(file: string): [line: number, text: string][] {
  const lines: [number, string][] = file.endsWith('.md')
    ? textOf(file)
        .split('\n')
        .map((text, index) => [index + 1, text])
    : commentLines(file);
  let fence: 'picture' | 'code' | null = null;
  return lines.filter(([, text]) => {
    const [, language] = text.match(/^\s*(?:\* )?```(\w*)/) ?? [];
    if (language === undefined) return fence === 'picture';
    if (fence !== null) fence = null;
    else fence = language === '' ? 'picture' : 'code';
    return false;
  });
}
