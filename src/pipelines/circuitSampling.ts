import { Rng } from '../math/rng.ts';
import type { CircuitOptions } from './circuitOptions.ts';
import type { Place, TextInput } from './circuitContexts.ts';

/** Tokens read to find sampled contexts, at most: rows drawn by the seed. */
const TOKENS_READ = 200_000;

/** A place with the random number by which it was drawn. */
interface Drawn extends Place {
  readonly key: number;
}

/**
 * For every feature of every dictionary, up to `contexts` places drawn uniformly among those where its activation lies in [M/2, M],
 * M its greatest in the analysis; one place a row at most. One pass over rows of the analysed text, drawn by the seed. The same
 * seed gives the same places. Holds contexts places per feature.
 */
export async function sampledPlaces(
  input: TextInput,
  greatest: ReadonlyMap<string, Float64Array>,
  { contexts, seed, batchTokens }: Pick<CircuitOptions, 'contexts' | 'seed' | 'batchTokens'>,
): Promise<Map<string, Map<number, Place[]>>> {
  const { model, dictionaries, tokens } = input;
  const { cols } = tokens;
  const { from, to } = input.rows ?? { from: 0, to: tokens.rows };
  const order = Rng.derive(seed, 'rows of sampled contexts').permutation(to - from).slice(0, Math.max(1, Math.floor(TOKENS_READ / cols)));
  const rng = Rng.derive(seed, 'sampled contexts');
  const perRun = Math.max(1, Math.floor(batchTokens / cols));
  const found = new Map(dictionaries.map(({ config }) => [config.name, new Map<number, Drawn[]>()]));
  for (let first = 0; first < order.length; first += perRun) {
    const chosen = Array.from(order.subarray(first, first + perRun), (row) => from + row);
    const batch = { rows: chosen.length, cols, ids: await tokens.read(chosen), lengths: new Int32Array(chosen.length).fill(cols) };
    const { codes } = await model.forward({ batch, taps: [], logits: 'none', encode: dictionaries });
    for (const [s, { config }] of dictionaries.entries()) {
      const byFeature = found.get(config.name)!;
      for (const [b, row] of chosen.entries()) {
        for (const [feature, place] of strongPlaces(codes[s], b, cols, greatest.get(config.name)!, row, rng)) keep(byFeature, feature, place, contexts);
      }
    }
  }
  return new Map([...found].map(([name, byFeature]) => [name, new Map([...byFeature].map(([feature, drawn]) => [feature, drawn.map(({ row, position, activation }) => ({ row, position, activation }))]))]));
}

/** One place of a row, drawn by least key, for each feature that reaches half its greatest activation there. */
function strongPlaces(codes: { offsets: ArrayLike<number>; features: ArrayLike<number>; values: ArrayLike<number> }, b: number, cols: number, greatest: Float64Array, row: number, rng: Rng): Map<number, Drawn> {
  const drawn = new Map<number, Drawn>();
  for (let position = 0; position < cols; position++) {
    const r = b * cols + position;
    for (let e = codes.offsets[r]; e < codes.offsets[r + 1]; e++) {
      const activation = codes.values[e];
      const feature = codes.features[e];
      if (activation < greatest[feature] / 2) continue;
      const key = rng.next();
      const other = drawn.get(feature);
      if (other === undefined || key < other.key) drawn.set(feature, { key, row, position, activation });
    }
  }
  return drawn;
}

/** Keeps the places with the least keys, ascending. */
function keep(byFeature: Map<number, Drawn[]>, feature: number, place: Drawn, limit: number): void {
  const held = byFeature.get(feature);
  if (held === undefined) byFeature.set(feature, [place]);
  else if (held.length < limit || place.key < held.at(-1)!.key) {
    held.push(place);
    held.sort((a, b) => a.key - b.key);
    if (held.length > limit) held.pop();
  }
}
