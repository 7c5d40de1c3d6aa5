import type { InterpReport, InterpReportData, ReportedInstrument } from '../../ports/InterpReport.ts';
import { escape } from './escape.ts';
import { meansFigure } from './interpFigure.ts';
import { differencesTable, frequentHeading, meansTable, membersTable, undefinedLines, type TextTable } from './interpTables.ts';
import { markdownCell, markdownTable } from './markdownTable.ts';
import { legend } from './marks.ts';
import { htmlTable, page } from './pageStyle.ts';
import { writeReportFile } from './reportFile.ts';
import { stripFigure } from './stripFigure.ts';

/** The InterpReport port: `x.html`, and beside it `x.md` (the tables) and `x.json` (every number, feature by feature). */
export function htmlInterpReport(): InterpReport {
  return {
    async write(path, data) {
      const stem = path.replace(/\.html?$/i, '');
      const files = [[`${stem}.json`, `${JSON.stringify(data, null, 1)}\n`], [`${stem}.md`, markdown(data)], [`${stem}.html`, html(data)]] as const;
      for (const [file, text] of files) await writeReportFile(file, text);
      return files.map(([file]) => file).toReversed();
    },
  };
}

/** How an instrument's part is headed: judges are told apart, so that nobody reads two as one. */
export function headingOf({ label, scorer, judge, promptVersion }: ReportedInstrument): { readonly title: string; readonly by: string } {
  return { title: label.charAt(0).toUpperCase() + label.slice(1), by: `${scorer}, judged by ${judge}${promptVersion === null ? '' : ` with prompt ${promptVersion}`}` };
}

function html(data: InterpReportData): string {
  const table = ({ head, rows, numbersFrom }: TextTable): string => htmlTable(head.map(escape), rows.map((row) => row.map(escape)), numbersFrom);
  const list = (lines: readonly string[]): string => (lines.length === 0 ? '' : `<ul>${lines.map((line) => `<li>${escape(line)}</li>`).join('')}</ul>`);
  const instruments = data.instruments.map((instrument, i) => {
    // The first instrument is what most come for: its parts lie open.
    const details = i === 0 ? '<details open>' : '<details>';
    const { title, by } = headingOf(instrument);
    const missing = undefinedLines(instrument);
    return `<h2>${escape(title)}</h2><p class="soft">${escape(by)}</p>
${legend(data.methods.map(({ name }) => name))}
${meansFigure(data, instrument)}
${list(instrument.verdicts)}
${details}<summary>Score of every feature</summary>${stripFigure(data, instrument)}</details>
${details}<summary>Means and intervals</summary>${table(meansTable(data, instrument))}</details>
${details}<summary>Differences</summary>${table(differencesTable(data, instrument))}</details>
${instrument.frequent === null ? '' : `${details}<summary>${frequentHeading(instrument.frequent)}</summary>${list(instrument.frequent.verdicts)}${table(meansTable(data, instrument.frequent))}</details>`}
${missing.length === 0 ? '' : `<details><summary>Explained, but without this score</summary>${list(missing)}</details>`}`;
  });
  return page(
    data.title,
    `<h1>${escape(data.title)}</h1>
<table>${data.methods.map(({ name, what }) => `<tr><th>${escape(name)}</th><td>${escape(what)}</td></tr>`).join('')}</table>
${list(data.notes)}
${data.instruments.length === 0 ? '<p>No feature was explained and scored.</p>' : instruments.join('\n')}
<h2>What took part</h2>
${table(membersTable(data.members))}
<table>${data.facts.map(([label, value]) => `<tr><th>${escape(label)}</th><td>${escape(value)}</td></tr>`).join('')}</table>`,
  );
}

function markdown(data: InterpReportData): string {
  const table = ({ head, rows, numbersFrom }: TextTable): string => markdownTable(head, rows.map((row) => row.map(markdownCell)), numbersFrom);
  const list = (lines: readonly string[]): string => lines.map((line) => `- ${markdownCell(line)}`).join('\n');
  const frequent = ({ frequent: found }: ReportedInstrument): string[] => (found === null ? [] : [`### ${frequentHeading(found)}`, list(found.verdicts), table(meansTable(data, found))]);
  const parts = data.instruments.flatMap((instrument) => {
    const { title, by } = headingOf(instrument);
    const missing = undefinedLines(instrument);
    return [`## ${markdownCell(title)}`, markdownCell(by), list(instrument.verdicts), table(meansTable(data, instrument)), table(differencesTable(data, instrument)), ...frequent(instrument), ...(missing.length === 0 ? [] : [`Explained, but without this score:\n\n${list(missing)}`])];
  });
  return `${[
    `# ${markdownCell(data.title)}`,
    list(data.methods.map(({ name, what }) => `${name}: ${what}`)),
    list(data.notes),
    ...parts,
    '## What took part',
    table(membersTable(data.members)),
    list(data.facts.map(([label, value]) => `${label}: ${value}`)),
  ].filter((part) => part !== '').join('\n\n')}\n`;
}
