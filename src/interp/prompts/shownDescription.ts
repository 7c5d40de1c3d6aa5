import { breakReserved } from './shownText.ts';

/** A description inside a judge's prompt: on one line, and no text of it can end the judge's turn. */
export function shownDescription(description: string): string {
  return breakReserved(description.replaceAll(/\s+/g, ' ').trim());
}
