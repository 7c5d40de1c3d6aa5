/** Any text as one Markdown table cell that shows it: no line breaks, and nothing in it is Markdown or HTML. */
export function markdownCell(text: string): string {
  return text.replace(/[\r\n\t]+/g, ' ').replace(/[\\`*_{}[\]<>()#+!|~&$^=-]/g, (c) => (/[<>&]/.test(c) ? `&#${c.charCodeAt(0)};` : `\\${c}`));
}

/** Cells are Markdown already; columns from `numbersFrom` on are right-aligned. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[], numbersFrom = head.length): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, column) => (column >= numbersFrom ? '---:' : '---'))), ...rows.map(line)].join('\n');
}
