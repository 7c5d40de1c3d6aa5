import { instrumentPlace } from '../../interp/instruments.ts';
import type { FeatureTable, FeatureTableData, TableExplanation, TableFeature, TableToken } from '../../ports/FeatureTable.ts';
import { escape } from './escape.ts';
import { markdownCell, markdownTable } from './markdownTable.ts';
import { htmlTable, page } from './pageStyle.ts';
import { writeReportFile } from './reportFile.ts';

const HEAD = ['feature', 'description', 'score', 'strongest text'];

/** The FeatureTable port: `x.html`, and `x.md` beside it, where activation is shown by bold instead of shade. */
export function htmlFeatureTable(): FeatureTable {
  return {
    async write(path, data) {
      const stem = path.replace(/\.html?$/i, '');
      await writeReportFile(`${stem}.md`, markdown(data));
      await writeReportFile(`${stem}.html`, html(data));
      return [`${stem}.html`, `${stem}.md`];
    },
  };
}

function html({ title, notes, dictionaries }: FeatureTableData): string {
  const parts = dictionaries.map(({ name, facts, features }) => {
    const rows = features.map((feature) => [
      `<code>${escape(feature.address)}</code><br><span class="soft">${escape(activity(feature))}</span>${feature.promotes.length === 0 ? '' : `<br><span class="soft">promotes ${escape(feature.promotes.map((text) => `"${visible(text)}"`).join(' '))}</span>`}`,
      described(feature).map(({ by, text }) => `<p>${escape(text)}<br><span class="soft">${escape(by)}</span></p>`).join(''),
      feature.explanations.map(({ scores }) => scoreLines(scores).map(({ found, by }, i) => `<p>${i === 0 ? `<b>${escape(found)}</b>` : escape(found)}<br><span class="soft">${escape(by)}</span></p>`).join('')).join('') || '–',
      feature.exemplars.map((tokens) => `<p class="exemplar text">${shaded(tokens)}</p>`).join(''),
    ]);
    return `<h2>${escape(name)}</h2><p class="soft">${escape(facts.map(([label, value]) => `${label}: ${value}`).join(' · '))}</p>${htmlTable(HEAD, rows, HEAD.length, ['14%', '26%', '18%', '42%'])}`;
  });
  return page(title, `<h1>${escape(title)}</h1>\n<ul>${notes.map((note) => `<li>${escape(note)}</li>`).join('')}</ul>\n${parts.join('\n')}`);
}

function markdown({ title, notes, dictionaries }: FeatureTableData): string {
  const parts = dictionaries.flatMap(({ name, facts, features }) => [
    `## ${markdownCell(name)}`,
    markdownCell(facts.map(([label, value]) => `${label}: ${value}`).join(' · ')),
    markdownTable(HEAD, features.map((feature) => [
      `${markdownCell(feature.address)} (${markdownCell(activity(feature))})`,
      described(feature).map(({ by, text }) => `${markdownCell(text)} (${markdownCell(by)})`).join('<br>'),
      feature.explanations.flatMap(({ scores }) => scoreLines(scores)).map(({ found, by }) => markdownCell(`${found} ${by}`)).join('<br>') || '–',
      feature.exemplars.map(emphasised).join('<br>'),
    ])), // prettier-ignore
  ]);
  return `${[`# ${markdownCell(title)}`, notes.map((note) => `- ${markdownCell(note)}`).join('\n'), ...parts].join('\n\n')}\n`;
}

function activity({ density, maxActivation }: TableFeature): string {
  return `active on ${(100 * density).toPrecision(2)} % of tokens, at most ${maxActivation.toPrecision(3)}`;
}

/** Descriptions with who gave them, and reasons why there is none. */
function described({ explanations, skipped }: TableFeature): { by: string; text: string }[] {
  const found = explanations.map(({ explainer, promptVersion, description }) => ({ by: promptVersion === null || explainer.startsWith(promptVersion) ? explainer : `${explainer}, prompt ${promptVersion}`, text: description }));
  const missing = skipped.map(({ explainer, reason }) => ({ by: explainer, text: `no description: ${reason}` }));
  return found.length + missing.length === 0 ? [{ by: 'no explainer was asked', text: '–' }] : [...found, ...missing];
}

/** What was found and by whom, the paper's instrument first. */
function scoreLines(scores: TableExplanation['scores']): { found: string; by: string }[] {
  return scores.toSorted((a, b) => instrumentPlace(a.scorer) - instrumentPlace(b.scorer)).map(({ scorer, judge, promptVersion, value, undefinedReason, low, high }) => {
    const by = `${scorer} by ${judge}${promptVersion === null ? '' : ` (${promptVersion})`}`;
    if (value === null) return { found: `undefined: ${undefinedReason ?? 'no reason given'}`, by };
    return { found: `${number(value)}${low === null || high === null ? '' : ` [${number(low)}, ${number(high)}]`}`, by };
  });
}

const number = (value: number): string => value.toFixed(2).replace('-', '−');

/** Line breaks and tabs as signs that can be seen. */
function visible(text: string): string {
  return text.replace(/\r?\n/g, '↵').replace(/\t/g, '⇥').replace(/\p{Cc}/gu, '\u{fffd}');
}

/** Each active token on a ground as strong as its activation is beside the strongest of the window. */
function shaded(tokens: readonly TableToken[]): string {
  const most = Math.max(...tokens.map(({ activation }) => activation));
  return tokens
    .map(({ text, activation }) => (activation > 0 ? `<span style="background:rgb(var(--mark) / ${(0.1 + 0.7 * (activation / most)).toFixed(2)})" title="${activation.toPrecision(3)}">${escape(visible(text))}</span>` : escape(visible(text))))
    .join('');
}

/** Tokens from half of the window's strongest activation on in bold. */
function emphasised(tokens: readonly TableToken[]): string {
  const most = Math.max(...tokens.map(({ activation }) => activation));
  return tokens
    .map(({ text, activation }) => {
      const shown = markdownCell(visible(text));
      return most > 0 && activation >= most / 2 && shown.trim() !== '' ? shown.replace(/^(\s*)(.*?)(\s*)$/s, '$1**$2**$3') : shown;
    })
    .join('');
}
