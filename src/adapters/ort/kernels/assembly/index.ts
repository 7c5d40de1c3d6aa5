/** The kernels, compiled by scripts/generate.ts. AssemblyScript: TypeScript's syntax, WebAssembly's types. */
export { axpy, gather, subtractRow } from './vector';
export { best, finishBatch, finishRows, scanBatch, scanPositive, scanRows, sortAscending } from './select';
export { columnSums, decodeRows, distances, dotRows, maskSlopes, partOfRows, scaleEntries } from './rows';
export {
  adam, adamUnitRows, countFeatures, fillFeatures, gatherFeatures, normaliseRows, removeParallel, sumFeatures, sumSquares, throughNorm, weightedSum,
} from './features';
