import type { Run } from '../domain/run.ts';
import type { CatalogReader } from '../ports/CatalogReader.ts';

/**
 * Runs that stand behind something shown, by key or by what went in, and behind nothing that is hidden alone. Of a run that names
 * neither, as one on weights the catalog no longer has, nobody can tell whose it is: it is hidden.
 */
export async function runRule(reader: CatalogReader, hidden: ReadonlySet<string>): Promise<(run: Run) => boolean> {
  const [models, dictionaries] = await Promise.all([reader.models(), reader.dictionaries({})]);
  const summaries = await reader.explanationSummaries(dictionaries.map(({ id }) => id));
  const marksOf = (counts: (model: string) => boolean): Set<string> =>
    new Set([
      ...models.filter(({ name }) => counts(name)).map(({ weightsHash }) => weightsHash),
      ...dictionaries.flatMap(({ model, weightsHash, trainRun, analyseRun }, i) =>
        counts(model) ? [weightsHash, trainRun, ...(analyseRun === null ? [] : [analyseRun]), ...summaries[i]!.map(({ run }) => run)] : [],
      ),
    ]);
  const shown = marksOf((model) => !hidden.has(model));
  const secret = marksOf((model) => hidden.has(model));
  const names = new Set(models.map(({ name }) => name).filter((name) => !hidden.has(name)));
  return ({ key, inputs, params }) => {
    const named = [key, ...Object.values(inputs)];
    const model = String(params['model']);
    // What also stands behind something shown is shown: one text may feed two models.
    if (hidden.has(model) || named.some((mark) => secret.has(mark) && !shown.has(mark))) return false;
    return names.has(model) || named.some((mark) => shown.has(mark));
  };
}
