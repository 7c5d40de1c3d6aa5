import type { IoiCurve, IoiEstimate, IoiOrdering, IoiReport, IoiReportData } from '../../ports/IoiReport.ts';
import { escape } from './escape.ts';
import { ioiFigure } from './ioiFigure.ts';
import { legend } from './marks.ts';
import { htmlTable, page } from './pageStyle.ts';
import { writeReportFile } from './reportFile.ts';

const ORDERINGS: Readonly<Record<IoiOrdering, string>> = { threshold: 'Threshold ordering (the paper)', attribution: 'Attribution ordering' };

/** The IoiReport port: `x.html`, a page that loads nothing, and beside it `x.json` with every curve. */
export function htmlIoiReport(): IoiReport {
  return {
    async write(path, data) {
      const stem = path.replace(/\.html?$/i, '');
      await writeReportFile(`${stem}.json`, `${JSON.stringify(data, null, 1)}\n`);
      await writeReportFile(`${stem}.html`, html(data));
      return [`${stem}.html`, `${stem}.json`];
    },
  };
}

function html({ title, methods, curves, verdicts, notes, facts }: IoiReportData): string {
  const list = (lines: readonly string[]): string => `<ul>${lines.map((one) => `<li>${escape(one)}</li>`).join('')}</ul>`;
  const names = methods.map(({ name }) => name);
  const orderings = [...new Set(curves.map(({ ordering }) => ordering))];
  const parts = orderings.map((ordering) => {
    const here = curves.filter((curve) => curve.ordering === ordering);
    return `<h2>${escape(ORDERINGS[ordering])}</h2>
${legend(names)}
${ioiFigure(names, curves, ordering)}
<details open><summary>Numbers</summary>${htmlTable(headOf(here[0]), here.map(rowOf), 2)}</details>
<details><summary>Cost</summary>${htmlTable(['layer', 'dictionary', 'sets', 'runs', 'prompts run', 'seconds', 'plain runs', 'plain seconds'], here.map(({ layer, method, cost }) => [String(layer), escape(method), String(cost.sets), String(cost.runs), String(cost.rows), cost.seconds.toFixed(1), String(cost.plain.runs), cost.plain.seconds.toFixed(0)]), 2)}</details>`;
  });
  return page(
    title,
    `<h1>${escape(title)}</h1>
<table>${methods.map(({ name, what }) => `<tr><th>${escape(name)}</th><td>${escape(what)}</td></tr>`).join('')}</table>
${list(verdicts)}
${parts.join('\n')}
<h2>How to read this</h2>
${list(notes)}
<h2>What was run</h2>
<table>${facts.map(([label, value]) => `<tr><th>${escape(label)}</th><td>${escape(value)}</td></tr>`).join('')}</table>`,
  );
}

function headOf({ levels, areaTo }: IoiCurve): string[] {
  const percent = levels.map(({ share }) => `${Math.round(100 * share)} %`);
  return ['layer', 'dictionary', 'differ / all', 'KL, all patched', ...percent.map((share) => `patches to ${share}`), `edit at ${percent[0]}`, `area to ${areaTo}`, 'area minus PCA', 'minus nonneg. PCA'];
}

function rowOf({ layer, method, units, active, points, levels, area, against }: IoiCurve): string[] {
  const versus = (name: string): string => {
    const found = against.find((one) => one.method === name);
    return found === undefined ? '–' : estimate(found.area, 3);
  };
  return [String(layer), escape(method), `${active} / ${units}`, points.at(-1)!.kl.toFixed(3), ...levels.map(({ patched }) => estimate(patched, 0)), estimate(levels[0].magnitude, 2), estimate(area, 3), versus('pca'), versus('pca-nonneg')];
}

function estimate({ value, interval }: IoiEstimate, digits: number): string {
  if (value === null) return 'never';
  const number = (of: number): string => of.toFixed(digits).replace('-', '−');
  return `${number(value)}${interval === null ? '' : ` <span class="soft">[${number(interval.low)}, ${number(interval.high)}]</span>`}`;
}
