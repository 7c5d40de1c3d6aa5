import { effectText, labelOf, rowsOf, type CircuitGraph } from '../../causal/circuitGraph.ts';

/** Characters of a description in a node. */
const SHOWN = 60;

/**
 * A circuit in Graphviz' language, as the figure of Cunningham et al. 2023 is drawn: pen width 3·|effect| + 0.3 (on a token relative
 * to the strongest), the effect as label, earlier layers below. Render with `dot -Tsvg`.
 */
export function circuitDot(graph: CircuitGraph): string {
  const strongest = Math.max(...graph.edges.filter(({ target }) => onToken(graph, target)).map(({ effect }) => Math.abs(effect)), Number.MIN_VALUE);
  const nodes = rowsOf(graph.nodes).map((row) => {
    const lines = row.map((node) => {
      const about = node.kind === 'feature' && node.description !== null ? `\n${cut(node.description)}` : '';
      return `    ${quote(node.id)} [label=${quote(labelOf(node) + about)}${node.id === graph.target ? ', penwidth=2' : ''}];`;
    });
    return `  { rank=same;\n${lines.join('\n')}\n  }`;
  });
  const edges = graph.edges.map(({ source, target, effect }) => {
    const token = onToken(graph, target);
    const width = 3 * Math.min(1, Math.abs(effect) / (token ? strongest : 1)) + 0.3;
    return `  ${quote(source)} -> ${quote(target)} [penwidth=${width.toFixed(2)}, label=${quote(effectText(effect, token))}, color="${effect < 0 ? '#d55e00' : '#0072b2'}"${effect < 0 ? ', style=dashed' : ''}];`;
  });
  return `digraph circuit {
  graph [rankdir=BT, label=${quote(`${graph.model}: what feeds ${labelOf(graph.nodes.find(({ id }) => id === graph.target)!)}`)}];
  node [shape=box, fontname="Helvetica", fontsize=10];
  edge [fontname="Helvetica", fontsize=8];
${[...nodes, ...edges].join('\n')}
}
`;
}

function onToken(graph: CircuitGraph, id: string): boolean {
  return id === graph.target && graph.nodes.some((node) => node.id === id && node.kind === 'token');
}

function cut(text: string): string {
  return text.length <= SHOWN ? text : `${text.slice(0, SHOWN - 1)}…`;
}

/** A quoted string: there `"` is escaped, and a backslash too, which would otherwise start an escape. */
function quote(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n').replace(/\p{Cc}/gu, ' ')}"`;
}
