import { escape } from './escape.ts';

/**
 * Colours of series, told apart with any colour vision: the palette of Okabe & Ito 2008 without its yellow, each lighter on dark ground.
 * Shapes differ too (see marks.ts), so that no figure rests on colour alone.
 */
const LIGHT = ['#0072b2', '#d98200', '#009e73', '#c0619a', '#6b6b6b', '#d55e00', '#3a9bd0', '#000000'];
const DARK = ['#5db4f0', '#f5b83d', '#35cfa0', '#eaa2c9', '#b0b0b0', '#ff8a4c', '#a9dcf7', '#ffffff'];
export const SERIES = LIGHT.length;

const variables = (colours: readonly string[]): string => colours.map((colour, i) => `--s${i}:${colour}`).join(';');

/** Light and dark by the reader's setting; printed light. Figures take their colours from the same variables. */
const STYLE = `:root{color-scheme:light dark;--ground:#fff;--ink:#1f2328;--soft:#59636e;--line:#d9dee3;--mark:230 159 0;${variables(LIGHT)}}
@media (prefers-color-scheme:dark){:root{--ground:#15181c;--ink:#e6e9ec;--soft:#9aa4ae;--line:#343b43;${variables(DARK)}}}
body{font:15px/1.5 system-ui,sans-serif;max-width:1040px;margin:2rem auto;padding:0 1rem;color:var(--ink);background:var(--ground)}
h1{font-size:1.5rem;line-height:1.25}h2{font-size:1.15rem;margin:2.2rem 0 .4rem}h3{font-size:1rem;margin:1.6rem 0 .3rem}
p,li{max-width:80ch}.soft{color:var(--soft)}.wide{overflow-x:auto}
table{border-collapse:collapse;margin:.8rem 0;font-size:14px}th,td{padding:.25rem .9rem .25rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
th{font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}code{font-size:13px;overflow-wrap:anywhere}
svg{display:block;width:100%;height:auto;margin:.4rem 0}svg text{font:12px system-ui,sans-serif;fill:var(--soft)}svg .grid{stroke:var(--line);stroke-width:1}svg .zero{stroke:var(--soft);stroke-width:1}
svg .label{fill:var(--ink)}.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;font-size:14px;margin:.3rem 0}.legend svg{display:inline-block;width:14px;height:14px;margin:0 .35em -2px 0}
.text{font:13px/1.7 ui-monospace,monospace;overflow-wrap:anywhere;white-space:pre-wrap}.text span{border-radius:2px}.exemplar{margin:0 0 .35rem}
td p{margin:0 0 .35rem}details{margin:.4rem 0}summary{cursor:pointer}@media print{body{max-width:none}}`;

/** A whole HTML document that loads nothing. `body` is HTML already. */
export function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${escape(title)}</title>
<style>${STYLE}</style></head><body>
${body}
</body></html>
`;
}

/** A table of cells that are HTML already; columns from `numbersFrom` on are right-aligned. `widths`: of the columns, as CSS lengths. */
export function htmlTable(head: readonly string[], rows: readonly (readonly string[])[], numbersFrom = head.length, widths: readonly string[] = []): string {
  const cell = (tag: 'th' | 'td') => (content: string, column: number): string => {
    const width = tag === 'th' && widths[column] !== undefined ? ` style="width:${widths[column]}"` : '';
    return `<${tag}${column >= numbersFrom ? ' class="n"' : ''}${width}>${content}</${tag}>`;
  };
  const lines = rows.map((row) => `<tr>${row.map(cell('td')).join('')}</tr>`);
  return `<div class="wide"><table><thead><tr>${head.map(cell('th')).join('')}</tr></thead><tbody>\n${lines.join('\n')}\n</tbody></table></div>`;
}
