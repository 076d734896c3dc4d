/** Aligned tables without a frame: text to the left, figures to the right, a rule under the head. */

import { stripVTControlCharacters } from 'node:util';
import Table from 'cli-table3';
import picocolors from 'picocolors';

/** Colours only where another thread looks. */
const colors: ReturnType<typeof picocolors.createColors> = picocolors.createColors(
  Boolean(process.stdout.isTTY) && !process.env.NO_COLOR,
);

export { colors };

/**
 * One column.
 * @public
 */
export interface Column {
  /** What stands above it; may have several lines. */
  head: string;
  /**
   * Where its cells stand; figures belong to the right, and those with decimals one point below the other.
   */
  align: 'left' | 'right' | 'point';
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
    head: columns.map((column) => bold(column.head)),
    colAligns: columns.map((column) => (column.align === 'left' ? 'left' : 'right')),
    rowAligns: ['bottom'],
    chars: FRAMELESS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  table.push(
    ...onePointBelowTheOther(
      columns,
      rows.filter((row) => row !== RULE),
    ),
  );
  const lines = table.toString().split('\n');
  const rule = colors.dim('─'.repeat(Math.max(...lines.map(visibleLength))));
  const headLines = Math.max(...columns.map(({ head }) => head.split('\n').length));
  const body = lines.slice(headLines);
  const cells = rows.map((row) => (row === RULE ? rule : (body.shift() as string)));
  return [...lines.slice(0, headLines), rule, ...cells].map((line) => line.trimEnd()).join('\n');
}

/** Line by line, since a colour that goes on over a line's end would reach the next column. */
function bold(head: string): string {
  return head.split('\n').map(colors.bold).join('\n');
}

/** Fills up the cells of the columns that stand by the point, to the right of it. */
function onePointBelowTheOther(columns: readonly Column[], rows: readonly (readonly string[])[]): string[][] {
  const behind = columns.map(({ align }, index) =>
    align === 'point' ? Math.max(0, ...rows.map((row) => fractionLength(row[index]))) : 0,
  );
  return rows.map((row) =>
    row.map((cell, index) => cell + ' '.repeat(Math.max(0, behind[index] - fractionLength(cell)))),
  );
}

/** Characters from the point on; 0 where there is no figure with a point. */
function fractionLength(cell: string): number {
  return /(\.\d+)\D*$/.exec(stripVTControlCharacters(cell))?.[1].length ?? 0;
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
  middle: '  ',
} as const;

function visibleLength(line: string): number {
  return stripVTControlCharacters(line).length;
}
