import type { ReportedContext, ReportedDetection, ReportedDirection, ReportedEffectMean, ReportedHistogram, ReportedPurity, ReportedTokenEffect, ReportedTokenFeature, TokenFeatureData, TokenFeatureReport } from '../../ports/TokenFeatureReport.ts';
import { escape } from './escape.ts';
import { htmlTable, page } from './pageStyle.ts';
import { writeReportFile } from './reportFile.ts';
import { effectRange, tokenEffects } from './tokenEffects.ts';
import { tokenColours, tokenHistogram, tokenLegend } from './tokenHistogram.ts';

/** The TokenFeatureReport port: one HTML file that loads nothing. */
export function htmlTokenFeatureReport(): TokenFeatureReport {
  return { write: (path, data, scale) => writeReportFile(path, html(data, scale)) };
}

type Show = (id: number | null) => string;

function html(data: TokenFeatureData, scale: 'linear' | 'log'): string {
  const show: Show = (id) => (id === null ? 'all others' : `“${visible(data.texts[String(id)] ?? `#${id}`)}”`);
  const facts = `<table>${data.facts.map(([label, value]) => `<tr><th>${escape(label)}</th><td>${escape(value)}</td></tr>`).join('')}</table>`;
  return page(data.title, `<h1>${escape(data.title)}</h1>\n<p>${escape(`${data.tokensRead} tokens read by ${data.model}.`)}</p>\n${patternPart(data, show)}\n${data.features.map((feature) => featurePart(feature, data, show, scale)).join('\n')}\n<h2>How it was made</h2>\n${facts}`);
}

function patternPart({ pattern, tokensRead }: TokenFeatureData, show: Show): string {
  if (pattern === null) return '';
  const { label, tokens, byToken, rankedBy, ranking, byMean, featuresSearched } = pattern;
  const head = ['feature', 'precision', 'recall', 'F1', 'active from', 'precision', 'recall', 'F1', 'mean on it', 'largest'];
  const rows = (list: readonly ReportedDetection[]): string[][] => list.slice(0, 10).map(({ address, purity, best, meanOnPattern, maxActivation }) => [`<code>${escape(address)}</code>`, ...shares(purity), best === null ? '–' : digits(best.threshold), ...shares(best), digits(meanOnPattern), digits(maxActivation)]);
  return `<h2>Which features mean it</h2>
<p>${escape(`${label}: ${tokens} of ${tokensRead} tokens`)}: ${byToken.map(({ id, count }) => `<code>${escape(show(id))}</code> ${count}`).join(', ')}.</p>
<h3>${escape(`The best of ${featuresSearched} features by ${rankedBy}: at the threshold asked for, then at the best one`)}</h3>
${htmlTable(head, rows(ranking), 1)}
<details><summary>By mean activation on the pattern</summary>${htmlTable(head, rows(byMean), 1)}</details>`;
}

function featurePart({ address, hookPoint, place, feature, basis, contexts }: ReportedTokenFeature, { effectThreshold }: TokenFeatureData, show: Show, scale: 'linear' | 'log'): string {
  const both = [feature, basis];
  const columns = (cell: (direction: ReportedDirection) => string): string => `<div style="display:grid;grid-template-columns:repeat(auto-fit,minmax(22rem,1fr));gap:0 1.5rem">${both.map((direction) => `<div><p><b>${escape(direction.label)}</b></p>${cell(direction)}</div>`).join('')}</div>`;
  /** The same histogram of both, a token in one colour. */
  const histograms = (of: (direction: ReportedDirection) => ReportedHistogram, label: (name: string) => string, unit: string, above: (direction: ReportedDirection) => string = () => ''): string => {
    const first = tokenColours(of(feature));
    return columns((direction) => {
      const found = of(direction);
      const colours = direction === feature ? first : tokenColours(found, first);
      return `${above(direction)}${tokenLegend(found, colours, show)}${tokenHistogram(found, colours, show, { label: label(direction.label), unit, scale })}`;
    });
  };
  const range = effectRange(both.map(({ effects }) => effects));
  const known = feature.purity === null ? '' : `<h3>Purity</h3>${htmlTable(['', 'active means', 'matches', 'false positives', 'false negatives', 'precision', 'recall', 'F1'], both.flatMap(purityRows), 2)}`;
  return `<h2><code>${escape(address)}</code></h2>
<p>${escape(`Reads at ${hookPoint}${place === null ? '' : `; place ${place} in the ranking`}. Beside it: dimension ${basis.dimension} of the same vector, which its encoder reads ${basis.rank === 1 ? 'most' : `${basis.rank}th most`} (${(100 * basis.share).toFixed(1)} % of its squared weights).`)}</p>
${known}
<h3>On which tokens it is active</h3>
${histograms(({ histogram }) => histogram, (label) => `Activations of ${label} by token`, 'activation', ({ active, histogram }) => `<p class="soft">${zeroLine(histogram.parts, active, show)}</p>`)}
<h3>What ablating it does to the next token</h3>
${columns(({ label, effects }) => `<p class="soft">${escape(`${effects.rows} rows; mean effect ${interval(effects.positions)} nats over ${effects.positions.n} positions, ${interval(effects.activePositions)} over the ${effects.activePositions.n} where it is active; ${effects.positive} above ${effectThreshold}, ${effects.negative} below −${effectThreshold}${effects.left === null ? '' : `; largest activation left ${digits(effects.left)}`}`)}</p>${tokenEffects(effects, range, show, `Effect of ablating ${label} by next token`)}`)}
<h3>${escape(`Effects above ${effectThreshold} nats, by next token: the ablation makes it less likely`)}</h3>
${histograms(({ effects }) => effects.positiveHistogram, (label) => `Positive effects of ablating ${label} by next token`, 'effect, nats')}
<details><summary>${escape(`Effects below −${effectThreshold} nats: the ablation makes it likelier`)}</summary>${histograms(({ effects }) => effects.negativeHistogram, (label) => `Negative effects of ablating ${label} by next token`, '−effect, nats')}</details>
<details><summary>Effects in numbers</summary>${both.map((direction) => `<h3>${escape(direction.label)}</h3>${effectTable(direction.effects.loses, show)}${effectTable(direction.effects.gains, show)}`).join('')}</details>
<h3>In the text</h3>
${contextsPart(contexts)}`;
}

function purityRows({ label, purity, best }: ReportedDirection): string[][] {
  return [purity, best].flatMap((one) => (one === null ? [] : [[escape(label), escape(`${one.rule} ${digits(one.threshold)}`), String(one.matches), String(one.falsePositives), String(one.falseNegatives), ...shares(one)]]));
}

/** The bar that would dwarf all others, in words. */
function zeroLine(parts: ReportedDirection['histogram']['parts'], active: number, show: Show): string {
  const zero = parts.reduce((sum, part) => sum + part.zero, 0);
  const named = parts.filter(({ id, zero: silent }) => id !== null && silent > 0).map(({ id, zero: silent }) => `${show(id)} ${silent}`);
  return escape(`active on ${active} tokens, silent on ${zero}${named.length === 0 ? '' : `, among them ${named.join(', ')}`}`);
}

function effectTable(list: readonly ReportedTokenEffect[], show: Show): string {
  if (list.length === 0) return '';
  return htmlTable(['next token', 'positions', 'mean effect', 'where active', 'mean effect', 'above', 'sum', 'below', 'sum'], list.map(({ id, all, active, positive, positiveSum, negative, negativeSum }) => [`<code>${escape(show(id))}</code>`, String(all.n), interval(all), String(active.n), interval(active), String(positive), digits(positiveSum), String(negative), digits(negativeSum)]), 1);
}

function contextsPart(contexts: readonly ReportedContext[]): string {
  const kinds = [...new Set(contexts.map(({ kind }) => kind))];
  const most = Math.max(...contexts.flatMap(({ tokens }) => tokens.map(({ activation }) => activation)), 0);
  const names = { strongest: 'Strongest', middle: 'About half the largest', 'false positive': 'Active, but not the pattern', 'false negative': 'The pattern, but not active' };
  return kinds.map((kind) => `<p class="soft">${names[kind]}</p>${contexts.filter((one) => one.kind === kind).map(({ tokens, row }) => `<p class="exemplar text" title="row ${row}">${tokens.map((token) => shaded(token, most)).join('')}</p>`).join('')}`).join('\n');
}

function shaded({ text, activation, here }: ReportedContext['tokens'][number], most: number): string {
  const shown = here ? `<b>${escape(visible(text))}</b>` : escape(visible(text));
  if (activation === 0) return shown;
  return `<span style="background:rgb(var(--mark) / ${(0.1 + 0.7 * (activation / most)).toFixed(2)})" title="${activation.toPrecision(3)}">${shown}</span>`;
}

function shares(purity: ReportedPurity | null): string[] {
  return [purity?.precision, purity?.recall, purity?.f1].map((value) => (value === null || value === undefined ? '–' : value.toFixed(3)));
}

function interval({ mean, halfWidth }: ReportedEffectMean): string {
  if (mean === null) return '–';
  return `${mean.toFixed(3)}${halfWidth === null ? '' : ` ± ${halfWidth.toFixed(3)}`}`.replaceAll('-', '−');
}

function digits(value: number): string {
  return (value === 0 ? '0' : value.toPrecision(3)).replace('-', '−');
}

/** Line breaks and tabs as signs that can be seen. */
function visible(text: string): string {
  return text.replace(/\r?\n/g, '↵').replace(/\t/g, '⇥').replace(/\p{Cc}/gu, '\u{fffd}');
}
