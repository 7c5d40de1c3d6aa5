import type { TokenFeatureReport } from '../../ports/TokenFeatureReport.ts';
import { escape } from './escape.ts';
import { page } from './pageStyle.ts';
import { writeReportFile } from './reportFile.ts';

export function htmlTokenFeatureReport(): TokenFeatureReport {
  return { write: (path, data) => writeReportFile(path, page(data.title, `<h1>${escape(data.title)}</h1>`)) };
}
