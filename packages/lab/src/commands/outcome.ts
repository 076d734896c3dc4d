/** How a job ends: the table or the JSON, the files, and the exit code. */

import { EXIT } from '../errors.ts';
import { type Report, totalFailures, totalViolations } from '../report/report.ts';
import { reportTable, TABLE_LEGEND } from '../report/table.ts';
import { writeReport } from '../report/write.ts';
import { colors } from '../table.ts';
import { formatSeconds, plural } from '../units.ts';

/** How many violations are told in words. */
const SHOWN = 10;

/**
 * Prints a report, writes its files, and sets the exit code: 1 when the oracle found anything. An allocation
 * that fails is no violation (an allocator may be full), but it is told.
 * @internal
 */
export function finish(report: Report, { json, folder }: { json?: boolean; folder?: string }): void {
  const files = folder === undefined ? undefined : writeReport(report, folder);
  if (json) console.log(JSON.stringify(report));
  else console.log(`${reportTable(report)}\n\n${colors.dim(TABLE_LEGEND)}\n\n${verdict(report)}`);
  if (files !== undefined && !json) console.log(`${files.html}\n${files.json}`);
  if (totalViolations(report) === 0) return;
  for (const line of violationLines(report)) console.error(line);
  process.exitCode = EXIT.failed;
}

function verdict(report: Report): string {
  const violations = totalViolations(report);
  const failures = totalFailures(report);
  const checked = report.results.filter((result) => result.checkedSeconds > 0);
  const operations = checked.reduce((sum, result) => sum + result.operations, 0);
  const found = `${plural(violations, 'violation')}, ${plural(failures, 'failed allocation')}`;
  const paint = violations > 0 ? colors.red : colors.green;
  const what =
    checked.length > 0
      ? `${plural(operations, 'operation')} checked: ${paint(found)}`
      : `nothing checked, ${found}`;
  const cpus = Math.max(...report.results.map((result) => result.cpus));
  return `${what} (on ${plural(cpus, 'CPU')}, in ${formatSeconds(report.seconds)})`;
}

function violationLines({ results }: Report): string[] {
  const lines = results.flatMap((result) =>
    result.firstViolations.map((text) => `${result.trace}, ${result.allocator}, ${result.lock}: ${text}`),
  );
  return lines.slice(0, SHOWN);
}
