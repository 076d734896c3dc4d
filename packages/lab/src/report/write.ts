/** Writes a report's two files. */

import path from 'node:path';
import { writeFile } from '../files.ts';
import { renderPage } from './page/page.ts';
import type { Report } from './report.ts';

/**
 * Writes `report.json` and `report.html`.
 * @param report - what was found
 * @param folder - an absolute path; made when it is not there
 * @returns the paths of both
 * @public
 */
export function writeReport(report: Report, folder: string): { json: string; html: string } {
  const json = path.join(folder, 'report.json');
  const html = path.join(folder, 'report.html');
  writeFile(json, `${JSON.stringify(report)}\n`);
  writeFile(html, renderPage(report));
  return { json, html };
}
