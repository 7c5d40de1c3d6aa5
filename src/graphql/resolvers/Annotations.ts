import DataLoader from 'dataloader';
import { PERSON, type ListFields } from '../../catalog/annotations.ts';
import type { FeatureView } from '../../catalog/features.ts';
import type { Page, PageArgs } from '../../catalog/page.ts';
import { CallerError } from '../../domain/errors.ts';
import type { FeatureListRow, ListEntryRow, NoteRow, PersonExplanation } from '../../ports/Annotations.ts';
import type { FeatureKey } from '../../ports/CatalogReader.ts';
import type { Context, Resolver } from '../context.ts';
import { userErrorOf } from '../errors.ts';
import { fromGlobalId, toGlobalId, type NodeType } from '../ids.ts';
import { addressAt } from '../patchArgs.ts';
import { connectionOf } from './connections.ts';
import type { ExplanationView } from './Explanation.ts';

type Shown = 'PRIVATE' | 'PUBLIC';

interface WithId {
  readonly id: string;
}

interface ListInput {
  readonly name?: string | null;
  readonly description?: string | null;
  readonly visibility?: Shown | null;
}

type Mutate<Input> = Resolver<unknown, { readonly input: Input }>;

/** The payload: what `work` gives, or `empty` beside what is wrong with the input. */
async function payload<T extends object>(empty: Readonly<Record<string, null>>, work: () => Promise<T>) {
  try {
    return { ...(await work()), userErrors: [] };
  } catch (error) {
    const userError = userErrorOf(error);
    if (userError === null) throw error;
    return { ...empty, userErrors: [userError] };
  }
}

/** As ids hold it: in one way only, so that an id that finds something is the id of what it finds. */
const NUMBER = /^[1-9]\d{0,14}$/;

/** The key of a global id of this type; throws BAD_INPUT for others. */
function keyOf(id: string, type: NodeType, field = 'id'): string {
  const global = fromGlobalId(id);
  if (global?.type !== type) throw new CallerError('BAD_INPUT', `${field} is no id of a ${type}: expected the \`id\` of one`, { field: [field] });
  return global.key;
}

function numberOf(id: string, type: NodeType): number {
  const key = keyOf(id, type);
  if (!NUMBER.test(key)) throw new CallerError('NOT_FOUND', `there is no such ${type}`, { field: ['id'] });
  return Number(key);
}

function placeOf(id: string) {
  const [model, dictionary, index, ...explainer] = keyOf(id, 'Explanation').split('/');
  const name = explainer.join('/');
  if (!name.startsWith(PERSON)) throw new CallerError('BAD_INPUT', 'id is that of an explanation which no person wrote', { field: ['id'] });
  return { feature: addressAt(`${model}/${dictionary}/${index}`, ['id']), explainer: name };
}

/** The explanation as it is stored now, and nothing this request read of it before. */
async function explanationAt({ loaders }: Context, view: FeatureView, explainer: string): Promise<{ explanation: ExplanationView | null }> {
  for (const loader of [loaders.feature, loaders.explanations, loaders.explanationTexts]) loader.clear(view.row);
  const row = (await loaders.explanations.load(view.row)).find((candidate) => candidate.explainer === explainer);
  return { explanation: row === undefined ? null : { row, view } };
}

function fieldsOf({ name, description, visibility }: ListInput): Partial<ListFields> {
  return {
    ...(typeof name === 'string' ? { name } : {}),
    ...(typeof description === 'string' ? { description } : {}),
    ...(visibility === null || visibility === undefined ? {} : { public: visibility === 'PUBLIC' }),
  };
}

export const annotationMutations = {
  explanationCreate: ((_, { input: { feature, description } }, context) =>
    payload({ explanation: null }, async () => {
      const { view, explainer } = await context.catalog.annotations.explanationCreate(addressAt(feature, ['feature']), description);
      return explanationAt(context, view, explainer);
    })) satisfies Mutate<{ readonly feature: string; readonly description: string }>,
  explanationUpdate: ((_, { input: { id, description } }, context) =>
    payload({ explanation: null }, async () => {
      const place = placeOf(id);
      return explanationAt(context, await context.catalog.annotations.explanationUpdate(place, description), place.explainer);
    })) satisfies Mutate<WithId & { readonly description: string }>,
  explanationDelete: ((_, { input: { id } }, { catalog }) =>
    payload({ deletedId: null }, async () => {
      await catalog.annotations.explanationDelete(placeOf(id));
      return { deletedId: id };
    })) satisfies Mutate<WithId>,
  noteCreate: ((_, { input: { feature, text, visibility } }, { catalog }) =>
    payload({ note: null }, async () => ({ note: await catalog.annotations.noteCreate(addressAt(feature, ['feature']), text, visibility === 'PUBLIC') }))) satisfies Mutate<{ readonly feature: string; readonly text: string; readonly visibility: Shown }>,
  noteDelete: ((_, { input: { id } }, { catalog }) =>
    payload({ deletedId: null }, async () => {
      await catalog.annotations.noteDelete(numberOf(id, 'Note'));
      return { deletedId: id };
    })) satisfies Mutate<WithId>,
  featureListCreate: ((_, { input: { name, description, visibility } }, { catalog }) =>
    payload({ list: null }, async () => ({ list: await catalog.annotations.listCreate({ name, description, public: visibility === 'PUBLIC' }) }))) satisfies Mutate<{ readonly name: string; readonly description: string; readonly visibility: Shown }>,
  featureListUpdate: ((_, { input: { id, ...fields } }, { catalog }) =>
    payload({ list: null }, async () => ({ list: await catalog.annotations.listUpdate(numberOf(id, 'FeatureList'), fieldsOf(fields)) }))) satisfies Mutate<WithId & ListInput>,
  featureListDelete: ((_, { input: { id } }, { catalog }) =>
    payload({ deletedId: null }, async () => {
      await catalog.annotations.listDelete(numberOf(id, 'FeatureList'));
      return { deletedId: id };
    })) satisfies Mutate<WithId>,
  featureListAdd: ((_, { input: { id, features } }, { catalog }) =>
    payload({ list: null }, async () => {
      const entries = features.map(({ feature, comment }, i) => ({ feature: addressAt(feature, ['features', String(i), 'feature']), comment: comment ?? null }));
      return { list: await catalog.annotations.listAdd(numberOf(id, 'FeatureList'), entries) };
    })) satisfies Mutate<WithId & { readonly features: readonly { readonly feature: string; readonly comment?: string | null }[] }>,
  featureListRemove: ((_, { input: { id, features } }, { catalog }) =>
    payload({ list: null }, async () => ({
      list: await catalog.annotations.listRemove(numberOf(id, 'FeatureList'), features.map((feature, i) => addressAt(feature, ['features', String(i)]))),
    }))) satisfies Mutate<WithId & { readonly features: readonly string[] }>,
};

export const featureLists = (async (_, { mine, ...args }, { catalog }) => connectionOf(await catalog.annotations.lists(mine, args))) satisfies Resolver<unknown, PageArgs & { readonly mine: boolean }>;

/** Of each request: notes by the page asked for, and people's explanations. */
interface AnnotationLoaders {
  readonly notes: Map<string, DataLoader<FeatureKey, Page<NoteRow>, string>>;
  readonly explanations: DataLoader<FeatureKey, readonly PersonExplanation[], string>;
}

const loadersOf = new WeakMap<Context, AnnotationLoaders>();
const byFeature = { cacheKeyFn: ({ dictionaryId, index }: FeatureKey): string => `${dictionaryId}/${index}`, cache: false };

function annotationLoaders(context: Context): AnnotationLoaders {
  const found = loadersOf.get(context) ?? {
    notes: new Map<string, DataLoader<FeatureKey, Page<NoteRow>, string>>(),
    explanations: new DataLoader((keys: readonly FeatureKey[]) => context.catalog.annotations.explanations(keys), byFeature),
  };
  loadersOf.set(context, found);
  return found;
}

export const featureNotes = (async (view, args, context) => {
  const { notes } = annotationLoaders(context);
  const page = `${args.first} ${args.after ?? ''}`;
  const loader = notes.get(page) ?? new DataLoader((keys: readonly FeatureKey[]) => context.catalog.annotations.notes(keys, args), byFeature);
  notes.set(page, loader);
  return connectionOf(await loader.load(view.row));
}) satisfies Resolver<FeatureView, PageArgs>;

export const Note = {
  id: (({ id }) => toGlobalId('Note', String(id))) satisfies Resolver<NoteRow>,
  feature: ((row, _, { loaders }) => loaders.feature.load(row)) satisfies Resolver<NoteRow>,
  visibility: ((row) => (row.public ? 'PUBLIC' : 'PRIVATE')) satisfies Resolver<NoteRow>,
  mine: ((row, _, { catalog }) => catalog.annotations.mine(row)) satisfies Resolver<NoteRow>,
};

export const FeatureList = {
  id: (({ id }) => toGlobalId('FeatureList', String(id))) satisfies Resolver<FeatureListRow>,
  visibility: ((row) => (row.public ? 'PUBLIC' : 'PRIVATE')) satisfies Resolver<FeatureListRow>,
  mine: ((row, _, { catalog }) => catalog.annotations.mine(row)) satisfies Resolver<FeatureListRow>,
  entries: (async (row, args, { catalog, loaders }) => {
    const page = await catalog.annotations.entries(row, args);
    const nodes = await Promise.all(page.edges.map(({ node }) => loaders.feature.load(node)));
    // A feature that a smaller dictionary no longer has is left out.
    return connectionOf({ ...page, edges: page.edges.flatMap(({ cursor, node: entry }, i) => (nodes[i] === null || nodes[i] === undefined ? [] : [{ cursor, node: nodes[i], entry }])) });
  }) satisfies Resolver<FeatureListRow, PageArgs>,
};

export const FeatureListEntryEdge = {
  comment: (({ entry }) => entry.comment) satisfies Resolver<{ readonly entry: ListEntryRow }>,
  addedAt: (({ entry }) => entry.addedAt) satisfies Resolver<{ readonly entry: ListEntryRow }>,
};

/** Who wrote an explanation, where a person did. */
export function authorOf({ row }: ExplanationView): string | null {
  return row.explainer.startsWith(PERSON) ? row.explainer.slice(PERSON.length) : null;
}

/** Whether a person wrote it for other weights than the dictionary has now; null for machines, whose explanations go with their weights. */
export async function isStale({ row, view }: ExplanationView, context: Context): Promise<boolean | null> {
  if (!row.explainer.startsWith(PERSON)) return null;
  const found = await annotationLoaders(context).explanations.load(view.row);
  const written = found.find(({ explainer }) => explainer === row.explainer);
  return written === undefined ? null : written.weightsHash !== view.dictionary.weightsHash;
}

/** Of `node`, by type. */
export const annotationNodes = {
  Note: async (key: string, { catalog }: Context) => (NUMBER.test(key) ? catalog.annotations.note(Number(key)) : null),
  FeatureList: async (key: string, { catalog }: Context) => (NUMBER.test(key) ? catalog.annotations.list(Number(key)) : null),
};
