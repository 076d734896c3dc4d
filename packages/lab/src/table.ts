/** Aligned tables without a frame: text to the left, figures to the right, a rule under the head. */

import Table from 'cli-table3';
import picocolors from 'picocolors';

/** Colours only where somebody looks. */
const colors: ReturnType<typeof picocolors.createColors> = picocolors.createColors(
  Boolean(process.stdout.isTTY) && !process.env.NO_COLOR,
);

export { colors };

/**
 * One column.
 * @public
 */
export interface Column {
  /** What stands above it. */
  head: string;
  /** Where its cells stand; figures belong to the right. */
  align: 'left' | 'right';
}

/** A rule between groups of rows. @public */
export const RULE = 'rule';

/**
 * @param columns - the head
 * @param rows - cells as text, or {@link RULE} between groups
 * @returns the table, without a final newline
 * @public
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[] | typeof RULE)[],
): string {
  const table = new Table({
    head: columns.map((column) => colors.bold(column.head)),
    colAligns: columns.map((column) => column.align),
    chars: FRAMELESS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  for (const row of rows) if (row !== RULE) table.push([...row]);
  const lines = table.toString().split('\n');
  const rule = colors.dim('─'.repeat(Math.max(...lines.map(visibleLength))));
  const body = lines.slice(1);
  const cells = rows.map((row) => (row === RULE ? rule : (body.shift() as string)));
  return [lines[0], rule, ...cells].map((line) => line.trimEnd()).join('\n');
}

const FRAMELESS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '   ',
} as const;

function visibleLength(line: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control sequences
  return line.replace(/\u001b\[\d+m/g, '').length;
}
