import { CallerError, messageOf } from '../../domain/errors.ts';

/**
 * JSON as Python writes it: NaN and infinities, which JSON has not, become null. `place` names the text in errors.
 * Throws BAD_INPUT.
 */
export function parsePythonJson(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const mended = text.replaceAll(/"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/gs, (found) => (found.startsWith('"') ? found : 'null'));
    try {
      return JSON.parse(mended);
    } catch {
      throw new CallerError('BAD_INPUT', `${place}: expected JSON, but ${messageOf(error)}`, { cause: error });
    }
  }
}
