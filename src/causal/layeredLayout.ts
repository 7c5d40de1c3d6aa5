/** A link between nodes of different rows. */
export interface LayeredLink {
  readonly source: string;
  readonly target: string;
}

export interface LayeredOptions {
  /** Width of a node, of a bend, and the room between neighbours, in one unit. */
  readonly node: number;
  readonly bend: number;
  readonly gap: number;
}

export interface LayeredLayout {
  /** Ids by row, from left to right, without bends. */
  readonly rows: readonly (readonly string[])[];
  /** Centre of each node, from 0, and its row. */
  readonly places: ReadonlyMap<string, { readonly x: number; readonly row: number }>;
  /** Of each link, in order: where it passes, from source to target, one point a row. */
  readonly paths: readonly (readonly { readonly x: number; readonly row: number }[])[];
  readonly width: number;
}

const SWEEPS = 24;
const PULLS = 12;

/**
 * Places nodes whose rows are given, after Sugiyama, Tagawa & Toda 1981: links that pass rows get a bend in each, rows are sorted
 * by the mean place of their neighbours (barycentre) in sweeps up and down, the order with fewest crossings is kept, and nodes
 * are then pulled towards their neighbours as far as the room between them allows. Deterministic; links within a row are
 * ignored by the ordering.
 */
export function layeredLayout(rows: readonly (readonly string[])[], links: readonly LayeredLink[], { node, bend, gap }: LayeredOptions): LayeredLayout {
  const rowOf = new Map(rows.flatMap((row, r) => row.map((id) => [id, r] as const)));
  const order: string[][] = rows.map((row) => [...row]);
  const bends = new Set<string>();
  const chains = links.map(({ source, target }, l) => {
    const [from, to] = [rowOf.get(source)!, rowOf.get(target)!];
    const step = Math.sign(to - from);
    const chain = [source];
    for (let r = from + step; r !== to; r += step) {
      const id = `bend ${l} in ${r}`;
      bends.add(id);
      rowOf.set(id, r);
      order[r]!.push(id);
      chain.push(id);
    }
    return [...chain, target];
  });
  const segments = chains.flatMap((chain) => chain.slice(1).map((id, i) => ({ source: chain[i]!, target: id })));
  const best = fewestCrossings(order, segments, rowOf);
  const half = (id: string): number => (bends.has(id) ? bend : node) / 2;
  const centres = place(best, neighboursOf(segments), (a, b) => half(a) + half(b) + gap);
  const left = Math.min(...[...centres].map(([id, x]) => x - half(id)));
  const at = (id: string): { x: number; row: number } => ({ x: centres.get(id)! - left, row: rowOf.get(id)! });
  return {
    rows: best.map((row) => row.filter((id) => !bends.has(id))),
    places: new Map([...centres.keys()].filter((id) => !bends.has(id)).map((id) => [id, at(id)])),
    paths: chains.map((chain) => chain.map(at)),
    width: Math.max(...[...centres].map(([id, x]) => x + half(id))) - left,
  };
}

/** Pairs of links between neighbouring rows that cross in this order. */
export function crossings(order: readonly (readonly string[])[], links: readonly LayeredLink[]): number {
  const at = new Map(order.flatMap((row, r) => row.map((id, i) => [id, { r, i }] as const)));
  const spans = links.flatMap(({ source, target }) => {
    const [a, b] = [at.get(source)!, at.get(target)!];
    return Math.abs(a.r - b.r) !== 1 ? [] : [a.r < b.r ? { r: a.r, upper: a.i, lower: b.i } : { r: b.r, upper: b.i, lower: a.i }];
  });
  let count = 0;
  for (const between of Map.groupBy(spans, ({ r }) => r).values()) {
    for (const [i, a] of between.entries()) for (const b of between.slice(i + 1)) if ((a.upper - b.upper) * (a.lower - b.lower) < 0) count++;
  }
  return count;
}

function fewestCrossings(start: readonly (readonly string[])[], segments: readonly LayeredLink[], rowOf: ReadonlyMap<string, number>): string[][] {
  const near = neighboursOf(segments);
  const order = start.map((row) => [...row]);
  let best = order.map((row) => [...row]);
  let fewest = crossings(best, segments);
  for (let sweep = 0; sweep < SWEEPS && fewest > 0; sweep++) {
    const down = sweep % 2 === 0;
    for (let k = 1; k < order.length; k++) {
      const r = down ? k : order.length - 1 - k;
      const fixed = new Map(order[down ? r - 1 : r + 1]!.map((id, i) => [id, i]));
      const means = new Map(
        order[r]!.map((id, i) => {
          const places = (near.get(id) ?? []).flatMap((other) => (rowOf.get(other) === r ? [] : (fixed.get(other) ?? [])));
          return [id, places.length === 0 ? i : places.reduce((sum, x) => sum + x, 0) / places.length];
        }),
      );
      order[r]!.sort((a, b) => means.get(a)! - means.get(b)!);
    }
    const count = crossings(order, segments);
    if (count < fewest) [best, fewest] = [order.map((row) => [...row]), count];
  }
  return best;
}

/** Centres that keep the order and the room between neighbours, near the mean of what each is linked to. */
function place(order: readonly (readonly string[])[], near: ReadonlyMap<string, readonly string[]>, apart: (a: string, b: string) => number): Map<string, number> {
  const x = new Map<string, number>();
  for (const row of order) {
    let at = 0;
    for (const [i, id] of row.entries()) x.set(id, (at += i === 0 ? 0 : apart(row[i - 1]!, id)));
    for (const id of row) x.set(id, x.get(id)! - at / 2);
  }
  for (let pull = 0; pull < PULLS; pull++) {
    for (const row of pull % 2 === 0 ? order : order.toReversed()) {
      const wish = row.map((id) => {
        const others = near.get(id) ?? [];
        return others.length === 0 ? x.get(id)! : others.reduce((sum, other) => sum + x.get(other)!, 0) / others.length;
      });
      // From the left as far left as wished, from the right as far right: each keeps the room, so their mean does.
      const [fromLeft, fromRight] = [[...wish], [...wish]];
      for (let i = 1; i < row.length; i++) fromLeft[i] = Math.max(wish[i]!, fromLeft[i - 1]! + apart(row[i - 1]!, row[i]!));
      for (let i = row.length - 2; i >= 0; i--) fromRight[i] = Math.min(wish[i]!, fromRight[i + 1]! - apart(row[i]!, row[i + 1]!));
      for (const [i, id] of row.entries()) x.set(id, (fromLeft[i]! + fromRight[i]!) / 2);
    }
  }
  return x;
}

function neighboursOf(links: readonly LayeredLink[]): Map<string, string[]> {
  const near = new Map<string, string[]>();
  for (const { source, target } of links) {
    for (const [a, b] of [[source, target], [target, source]] as const) {
      const list = near.get(a) ?? [];
      near.set(a, list);
      list.push(b);
    }
  }
  return near;
}
