/** A position counted from the end (negative) as one counted from 0; undefined when it lies outside `length` tokens or is no integer. */
export function resolvePosition(position: number, length: number): number | undefined {
  if (!Number.isInteger(position)) return undefined;
  const resolved = position < 0 ? length + position : position;
  return resolved >= 0 && resolved < length ? resolved : undefined;
}
