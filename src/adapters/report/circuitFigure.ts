import { effectText, labelOf, rowsOf, type CircuitGraph, type CircuitGraphEdge, type CircuitGraphNode } from '../../causal/circuitGraph.ts';
import { halfWidth95 } from '../../causal/interval.ts';
import { layeredLayout } from '../../causal/layeredLayout.ts';
import { escape } from './escape.ts';
import { htmlTable, page } from './pageStyle.ts';

const [NODE, HEIGHT, BEND, GAP, ROW, LEFT, EDGE] = [176, 62, 12, 18, 150, 96, 12];
const [LINES, CHARACTERS] = [3, 27];
/** As small as the drawing may become before it scrolls. */
const SMALLEST = 0.6;
/** The drawing takes the window's width, whatever the text's is. */
const WIDE = 'width:calc(100vw - 3rem);margin-left:calc(50% - 50vw + 1.5rem)';
/** Up to so many edges carry their effect as text; of more, hovering tells. */
const LABELLED = 40;

/** A page that loads nothing: the circuit as a drawing, earlier layers below, and every edge with its interval in a table. */
export function circuitFigure(graph: CircuitGraph): string {
  const target = graph.nodes.find(({ id }) => id === graph.target)!;
  const title = `What feeds ${labelOf(target)} in ${graph.model}`;
  const about = target.kind === 'feature' && target.description !== null ? `<p>${escape(labelOf(target))}: ${escape(target.description)}</p>` : '';
  const meaning = `<p class="soft">Each edge was measured by ablating its source in the texts where its target is active. Thickness: between features the mean share of the
target's activation that goes${target.kind === 'token' ? ', on the token the mean loss of its log-probability relative to the strongest' : ''}. Dashed: the target grows when the source is ablated. Effects are each
measured alone: those into one node need not add up to 100 %.${graph.truncated ? ' Weaker edges were left out.' : ''}</p>`;
  return page(title, `<h1>${escape(title)}</h1>${about}${meaning}<div class="wide" style="${WIDE}">${drawing(graph)}</div><h2>Edges</h2>${edgeTable(graph)}`);
}

function drawing(graph: CircuitGraph): string {
  const rows = rowsOf(graph.nodes);
  const layout = layeredLayout(rows.map((row) => row.map(({ id }) => id)), graph.edges, { node: NODE, bend: BEND, gap: GAP });
  const width = LEFT + layout.width + 10;
  const height = rows.length * ROW - (ROW - HEIGHT) + 20;
  const top = (row: number): number => 10 + row * ROW;
  const byId = new Map(graph.nodes.map((node) => [node.id, node]));
  const strength = strengths(graph, byId);
  const edges = graph.edges.map((edge, e) => {
    const points = layout.paths[e]!.map(({ x, row }) => ({ x: LEFT + x, foot: top(row) + HEIGHT, head: top(row) }));
    const share = strength(edge);
    const colour = edge.effect < 0 ? 'var(--s5)' : 'var(--s0)';
    const middle = { x: (points[0]!.x + points[1]!.x) / 2, y: (points[0]!.head + points[1]!.foot) / 2 };
    const label = graph.edges.length > LABELLED ? '' : `<text x="${f(middle.x)}" y="${f(middle.y)}" text-anchor="middle" style="paint-order:stroke;stroke:var(--ground);stroke-width:4px">${escape(effectText(edge.effect, isToken(byId, edge.target)))}</text>`;
    return { share, line: `<path d="${curve(points)}" style="fill:none;stroke:${colour};stroke-width:${f(0.6 + (EDGE - 0.6) * share)};opacity:.55${edge.effect < 0 ? ';stroke-dasharray:7 4' : ''}"><title>${escape(said(edge, byId))}</title></path>`, label };
  });
  edges.sort((a, b) => b.share - a.share);
  const places = rows.map((row, r) => `<text class="label" x="0" y="${top(r) + HEIGHT / 2 + 4}">${escape(row[0]!.place)}</text>`);
  const boxes = rows.flatMap((row, r) => row.map((node) => box(node, LEFT + layout.places.get(node.id)!.x, top(r), node.id === graph.target)));
  return `<svg viewBox="0 0 ${f(width)} ${height}" style="min-width:${f(SMALLEST * width)}px;max-width:${f(width)}px;margin:.4rem auto" role="img" aria-label="${escape(`Circuit of ${graph.edges.length} edges`)}">${places.join('')}${edges.map(({ line }) => line).join('\n')}${boxes.join('\n')}${edges.map(({ label }) => label).join('')}</svg>`;
}

/** From the head of the source to the foot of the target, upright at every point it passes; straight through the rows between. */
function curve(points: readonly { x: number; foot: number; head: number }[]): string {
  const parts = points.slice(1).map((to, i) => {
    const from = points[i]!;
    const middle = (from.head + to.foot) / 2;
    const through = i < points.length - 2 ? `V${f(to.head)}` : '';
    return `C${f(from.x)} ${f(middle)} ${f(to.x)} ${f(middle)} ${f(to.x)} ${f(to.foot)}${through}`;
  });
  return `M${f(points[0]!.x)} ${f(points[0]!.head)}${parts.join('')}`;
}

function box(node: CircuitGraphNode, x: number, y: number, isTarget: boolean): string {
  const about = node.kind === 'token' ? 'the next token' : (node.description ?? 'not described');
  const lines = [labelOf(node), ...wrap(about, LINES - 1)];
  const text = lines.map((line, i) => `<text x="${f(x)}" y="${y + 19 + 17 * i}" text-anchor="middle"${i === 0 ? ' class="label" style="font-weight:600"' : ''}>${escape(cut(line))}</text>`);
  return `<g><title>${escape(`${labelOf(node)} at ${node.place}: ${about}`)}</title><rect x="${f(x - NODE / 2)}" y="${y}" width="${NODE}" height="${HEIGHT}" rx="6" style="fill:var(--ground);stroke:${isTarget ? 'var(--ink)' : 'var(--line)'};stroke-width:${isTarget ? 2 : 1}"/>${text.join('')}</g>`;
}

function edgeTable(graph: CircuitGraph): string {
  const byId = new Map(graph.nodes.map((node) => [node.id, node]));
  const rows = graph.edges.map((edge) => {
    const [source, target] = [byId.get(edge.source)!, byId.get(edge.target)!];
    const half = halfWidth95(edge);
    const unit = target.kind === 'token' ? 1 : 100;
    const digits = target.kind === 'token' ? 3 : 1;
    return [
      `<code>${escape(labelOf(source))}</code> ${escape(source.description ?? '')}`, `<code>${escape(labelOf(target))}</code>`,
      `${(unit * edge.effect).toFixed(digits)}${target.kind === 'token' ? ' nats' : ' %'}`, half === null ? '–' : (unit * half).toFixed(digits), String(edge.n),
    ]; // prettier-ignore
  });
  return htmlTable(['source', 'target', 'effect', '± 95 %', 'texts'], rows, 2);
}

/** Thickness of an edge, 0 to 1. */
function strengths(graph: CircuitGraph, byId: ReadonlyMap<string, CircuitGraphNode>): (edge: CircuitGraphEdge) => number {
  const strongest = Math.max(...graph.edges.filter(({ target }) => isToken(byId, target)).map(({ effect }) => Math.abs(effect)), Number.MIN_VALUE);
  return ({ effect, target }) => Math.min(1, Math.abs(effect) / (isToken(byId, target) ? strongest : 1));
}

function isToken(byId: ReadonlyMap<string, CircuitGraphNode>, id: string): boolean {
  return byId.get(id)!.kind === 'token';
}

function said(edge: CircuitGraphEdge, byId: ReadonlyMap<string, CircuitGraphNode>): string {
  const token = isToken(byId, edge.target);
  const half = halfWidth95(edge);
  const interval = half === null ? '' : ` ± ${effectText(half, token)}`;
  return `${labelOf(byId.get(edge.source)!)} → ${labelOf(byId.get(edge.target)!)}: ${effectText(edge.effect, token)}${interval}, ${edge.n} texts`;
}

/** At most `lines` lines of words; what does not fit is cut. */
function wrap(text: string, lines: number): string[] {
  const found: string[] = [''];
  for (const word of text.split(/\s+/)) {
    const line = found.at(-1)!;
    if (line === '' || line.length + 1 + word.length <= CHARACTERS) found[found.length - 1] = line === '' ? word : `${line} ${word}`;
    else if (found.length < lines) found.push(word);
    else {
      found[found.length - 1] = `${line.slice(0, CHARACTERS - 1)}…`;
      break;
    }
  }
  return found;
}

function cut(line: string): string {
  return line.length <= CHARACTERS ? line : `${line.slice(0, CHARACTERS - 1)}…`;
}

function f(value: number): string {
  return value.toFixed(1);
}
