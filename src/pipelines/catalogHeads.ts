import type { DictionaryArchitecture, DictionaryQuality } from '../domain/dictionary.ts';
import { parseHookPoint, type HookPoint } from '../domain/hookPoint.ts';
import type { PatchInput, PatchResult, PatchRun } from '../domain/patch.ts';
import type { Run } from '../domain/run.ts';
import type { BulkDictionary, BulkModel, BulkSummary } from '../ports/CatalogBulk.ts';
import { MOST_FEATURES } from './catalogLayout.ts';
import type { LineReader } from './lineReader.ts';

/*
 * Lines of the plain files and of patches, which only this program writes. What the database has a column for is checked, so that a
 * line that is wrong is named; what it keeps as JSON is passed on.
 */

const timeOf = (line: LineReader, column: string): string => (Number.isNaN(Date.parse(line.text(column))) ? line.refuse(column, 'a time') : line.text(column));
const naturalOrNull = (line: LineReader, column: string): number | null => (line.has(column) ? line.natural(column) : null);
/** Arrays of this length are held while a dictionary is loaded. */
export const countOf = (line: LineReader, column: string): number => (line.natural(column) <= MOST_FEATURES ? line.natural(column) : line.refuse(column, `at most ${MOST_FEATURES}`));
function hookOf(line: LineReader, column: string): HookPoint {
  try {
    parseHookPoint(line.text(column));
    return line.text(column) as HookPoint;
  } catch {
    return line.refuse(column, 'a hook point, e.g. resid_post.3');
  }
}
const objectOf = <T>(line: LineReader, column: string): T => (line.inner(column) ?? line.refuse(column, 'an object')).as<T>();

export function modelOf(line: LineReader): BulkModel {
  for (const column of ['name', 'architecture', 'weightsHash', 'tokenizerHash', 'source']) line.text(column);
  for (const column of ['layers', 'dModel', 'vocabSize', 'contextLength', 'parameters']) line.natural(column);
  const { restricted } = line.as<Partial<BulkModel>>();
  return { ...line.as<BulkModel>(), restricted: restricted === undefined ? false : typeof restricted === 'boolean' ? restricted : line.refuse('restricted', 'true or false') };
}

export function dictionaryOf(line: LineReader): BulkDictionary {
  const quality = line.inner('quality');
  for (const column of ['fvu', 'l0', 'aliveShare', 'vectors']) quality?.real(column);
  return {
    model: line.text('model'), name: line.text('name'), hookPoint: hookOf(line, 'hookPoint'), outputHookPoint: line.has('outputHookPoint') ? hookOf(line, 'outputHookPoint') : null, layer: line.natural('layer'),
    architecture: line.text('architecture') as DictionaryArchitecture, dIn: line.natural('dIn'), nFeatures: countOf(line, 'nFeatures'), k: naturalOrNull(line, 'k'), l1: line.realOrNull('l1'),
    inputScale: line.real('inputScale'), weightsHash: line.text('weightsHash'), location: line.text('location'), quality: quality?.as<DictionaryQuality>() ?? null,
    trainRun: line.text('trainRun'), analyseRun: line.textOrNull('analyseRun'), tokensAnalysed: naturalOrNull(line, 'tokensAnalysed'), createdAt: timeOf(line, 'createdAt'),
  }; // prettier-ignore
}

export function runOf(line: LineReader): Run {
  return {
    key: line.text('key'), stage: line.text('stage'), params: objectOf(line, 'params'), inputs: objectOf(line, 'inputs'), seed: line.real('seed'), codeVersion: line.text('codeVersion'),
    startedAt: timeOf(line, 'startedAt'), finishedAt: line.has('finishedAt') ? timeOf(line, 'finishedAt') : null, metrics: objectOf(line, 'metrics'),
  }; // prettier-ignore
}

export function summaryOf(line: LineReader): BulkSummary {
  const some = (column: string) => line.list(column, 'objects', (value): value is never => typeof value === 'object' && value !== null);
  return { explainer: line.text('explainer'), run: line.text('run'), features: line.natural('features'), explained: line.natural('explained'), skips: some('skips'), scores: some('scores') };
}

export function patchOf(line: LineReader): PatchRun {
  return {
    id: line.text('id'), input: objectOf<PatchInput>(line, 'input'), result: objectOf<PatchResult>(line, 'result'), weightsHash: line.text('weightsHash'), codeVersion: line.text('codeVersion'),
    createdAt: timeOf(line, 'createdAt'), milliseconds: line.real('milliseconds'),
  }; // prettier-ignore
}
