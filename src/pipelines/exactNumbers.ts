/** JSON text of a double that reads back as the same double, −0 included. */
export function float64Text(value: number | null): string {
  if (value === null) return 'null';
  return Object.is(value, -0) ? '-0' : String(value);
}

/** The shortest JSON text that rounds to the same float32; of a number that is no float32, that of the double. */
export function float32Text(value: number): string {
  if (Number.isInteger(value) || Math.fround(value) !== value) return float64Text(value);
  // Nine significant digits tell all float32 apart; most need fewer.
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(9)));
}

export function float32List(values: readonly number[]): string {
  return `[${values.map(float32Text).join(',')}]`;
}

/** One JSON object of values that are JSON text already, in this order. */
export function objectText(columns: Readonly<Record<string, string>>): string {
  return `{${Object.entries(columns).map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(',')}}`;
}
