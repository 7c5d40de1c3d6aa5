/**
 * Copies vectors to their places: `to[places[first + i]] = from[i]` for i in 0..n-1, skipping places at or beyond `limit`.
 *
 * @param from [rows, T, D]; of every row the positions from `skip` on are taken, so n = rows·(T − skip).
 * @param to [limit, D], overwritten at the places given.
 */
export function scatterVectors(
  from: Float32Array,
  shape: { readonly rows: number; readonly T: number; readonly D: number; readonly skip: number },
  to: Float32Array,
  places: Uint32Array,
  first: number,
  limit: number,
): void {
  const { rows, T, D, skip } = shape;
  let next = first;
  for (let row = 0; row < rows; row++) {
    for (let t = skip; t < T; t++) {
      const place = places[next++]!;
      if (place >= limit) continue;
      const start = (row * T + t) * D;
      to.set(from.subarray(start, start + D), place * D);
    }
  }
}
