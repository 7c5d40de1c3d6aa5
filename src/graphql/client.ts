/** Where clients say who they are; the first found counts. */
const HEADERS = ['graphql-client-name', 'apollographql-client-name', 'x-client-name'];
const MOST_CHARACTERS = 64;

/** The name a client gives itself, as it may be logged; null when it gives none. */
export function clientOf(headers: { get(name: string): string | undefined } | undefined): string | null {
  for (const name of HEADERS) {
    const value = headers?.get(name);
    if (value !== undefined && value !== '') return value.slice(0, MOST_CHARACTERS);
  }
  return null;
}
