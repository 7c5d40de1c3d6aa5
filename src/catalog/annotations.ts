import type { FeatureAddress } from '../domain/address.ts';
import { CallerError } from '../domain/errors.ts';
import { OWNER, type Viewer } from '../domain/viewer.ts';
import type { Annotations, Annotator, FeatureListRow, ListEntryRow, NoteRow, PersonExplanation } from '../ports/Annotations.ts';
import type { CatalogReader, FeatureKey } from '../ports/CatalogReader.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import { dictionariesByName } from './dictionaries.ts';
import { viewsOf, type FeatureView } from './features.ts';
import { checkCount, checkFirst, checkText } from './limits.ts';
import type { Page, PageArgs } from './page.ts';
import { requireScope } from './viewerCatalog.ts';

/** What one key may write; schema.graphql names these numbers. */
const MOST = { explanation: 1000, note: 4000, notes: 100, name: 100, description: 2000, comment: 500, lists: 1000, entries: 10_000, atOnce: 100 } as const;
/** Explainers that are people. */
export const PERSON = 'person/';

export interface ListFields {
  readonly name: string;
  readonly description: string;
  readonly public: boolean;
}

export interface FeatureComment {
  readonly feature: FeatureAddress;
  readonly comment: string | null;
}

/** Where a person's explanation is. */
export interface ExplanationPlace {
  readonly feature: FeatureAddress;
  readonly explainer: string;
}

/** What people say of features, as the viewer may read and write it. Writing needs the scope annotate; only whose it is, or an admin, changes it (FORBIDDEN). Private things of others answer as if they did not exist. */
export interface AnnotationService {
  /** A page of each feature's. */
  notes(keys: readonly FeatureKey[], args: PageArgs): Promise<readonly Page<NoteRow>[]>;
  note(id: number): Promise<NoteRow | null>;
  noteCreate(feature: FeatureAddress, text: string, shown: boolean): Promise<NoteRow>;
  noteDelete(id: number): Promise<void>;
  lists(own: boolean, args: PageArgs): Promise<Page<FeatureListRow>>;
  list(id: number): Promise<FeatureListRow | null>;
  entries(list: FeatureListRow, args: PageArgs): Promise<Page<ListEntryRow>>;
  listCreate(fields: ListFields): Promise<FeatureListRow>;
  listUpdate(id: number, fields: Partial<ListFields>): Promise<FeatureListRow>;
  listDelete(id: number): Promise<void>;
  listAdd(id: number, entries: readonly FeatureComment[]): Promise<FeatureListRow>;
  listRemove(id: number, features: readonly FeatureAddress[]): Promise<FeatureListRow>;
  explanationCreate(feature: FeatureAddress, text: string): Promise<ExplanationPlace & { readonly view: FeatureView }>;
  explanationUpdate(place: ExplanationPlace, text: string): Promise<FeatureView>;
  explanationDelete(place: ExplanationPlace): Promise<void>;
  /** Those of people, of each feature. */
  explanations(keys: readonly FeatureKey[]): Promise<readonly (readonly PersonExplanation[])[]>;
  mine(row: { readonly owner: string }): boolean;
}

export function annotationService(store: Annotations | undefined, reader: CatalogReader, viewer: Viewer, hidden: ReadonlySet<string>): AnnotationService {
  const who: Annotator = { owner: viewer === OWNER ? 'local' : (viewer.keyId ?? ''), author: viewer.name, admin: viewer.scopes.has('admin'), hidden: [...hidden] };
  const kept = (): Annotations => {
    if (store === undefined) throw new CallerError('UNSUPPORTED', 'this server keeps no annotations');
    return store;
  };
  const writing = (): Annotations => {
    requireScope(viewer, 'annotate', 'annotating');
    return kept();
  };
  const mine = ({ owner }: { readonly owner: string }): boolean => owner === who.owner;
  /** Throws where it is not there for the viewer, and where it is somebody else's. */
  const own = <Row extends { readonly owner: string; readonly author: string }>(row: Row | null | undefined, what: string, field: string): Row => {
    if (row === null || row === undefined) throw new CallerError('NOT_FOUND', `there is no such ${what}`, { field: [field] });
    if (!mine(row) && !who.admin) throw new CallerError('FORBIDDEN', `this ${what} is another's (${row.author}): only they and admins change it`);
    return row;
  };
  const viewsAt = async (addresses: readonly FeatureAddress[], field: string): Promise<FeatureView[]> => {
    const dictionaries = await dictionariesByName(reader, addresses.map(({ model, dictionary }) => ({ model, name: dictionary })));
    const keys = addresses.map(({ index }, i) => ({ dictionaryId: dictionaries[i]?.id ?? 0, index }));
    const views = await viewsOf(reader, keys, dictionaries);
    return views.map((view, i) => {
      const { model, dictionary, index } = addresses[i]!;
      if (view === null) throw new CallerError('NOT_FOUND', `the catalog has no feature ${model}/${dictionary}/${index}`, { field: addresses.length === 1 ? [field] : [field, String(i)] });
      return view;
    });
  };
  const viewAt = async (address: FeatureAddress): Promise<FeatureView> => (await viewsAt([address], 'feature'))[0]!;
  const listAt = async (id: number): Promise<FeatureListRow> => own(await kept().list(id, who), 'list', 'id');
  const freshList = async (id: number): Promise<FeatureListRow> => own(await kept().list(id, who), 'list', 'id');
  const page = async <Row>(scope: string, args: PageArgs, place: (row: Row) => number, read: (limit: number, after: number) => Promise<readonly Row[]>): Promise<Page<Row>> =>
    (await pages(scope, args, place, async (limit, after) => [await read(limit, after)]))[0]!;
  const fieldsOf = ({ name, description, public: shown }: ListFields): ListFields => ({
    name: checkText('name', name.trim(), MOST.name),
    description: description === '' ? '' : checkText('description', description, MOST.description),
    public: shown,
  });
  const personAt = async ({ feature, explainer }: ExplanationPlace): Promise<{ readonly view: FeatureView; readonly row: PersonExplanation }> => {
    const view = await viewAt(feature);
    const rows = (await kept().explanations([view.row]))[0] ?? [];
    const found = rows.find((row) => row.explainer === explainer);
    const row = own(found === undefined ? null : { ...found, author: explainer.slice(PERSON.length) }, 'explanation by a person', 'id');
    return { view, row };
  };
  const entriesOf = (count: number): number => checkCount('features.length', count, 1, MOST.atOnce);

  return {
    mine,
    notes: (keys, args) => pages('notes', args, (row: NoteRow) => row.id, async (limit, after) => (store === undefined ? keys.map(() => []) : store.notes(keys, who, limit, after))),
    note: async (id) => (store === undefined ? null : store.note(id, who)),
    async noteCreate(feature, text, shown) {
      const annotations = writing();
      checkText('text', text, MOST.note);
      const note = await annotations.addNote((await viewAt(feature)).row, who, text, shown, MOST.notes);
      if (note === null) throw new CallerError('LIMIT_EXCEEDED', `the feature has ${MOST.notes} notes of yours, the most there may be: delete some`, { field: ['feature'] });
      return note;
    },
    async noteDelete(id) {
      const annotations = writing();
      await annotations.deleteNote(own(await annotations.note(id, who), 'note', 'id').id);
    },
    lists: (mineOnly, args) => page(mineOnly ? 'own lists' : 'lists', args, (row: FeatureListRow) => row.id, async (limit, after) => (store === undefined ? [] : store.lists(who, mineOnly, limit, after))),
    list: async (id) => (store === undefined ? null : store.list(id, who)),
    entries: (list, args) => page(`list ${list.id}`, args, (row: ListEntryRow) => row.place, (limit, after) => kept().entries(list.id, who, limit, after)),
    async listCreate(fields) {
      const annotations = writing();
      const id = await annotations.addList(who, fieldsOf(fields), MOST.lists);
      if (id === null) throw new CallerError('LIMIT_EXCEEDED', `you have ${MOST.lists} lists, the most there may be: delete some`);
      return freshList(id);
    },
    async listUpdate(id, fields) {
      const annotations = writing();
      const list = await listAt(id);
      await annotations.changeList(id, fieldsOf({ name: fields.name ?? list.name, description: fields.description ?? list.description, public: fields.public ?? list.public }));
      return freshList(id);
    },
    async listDelete(id) {
      const annotations = writing();
      await annotations.deleteList((await listAt(id)).id);
    },
    async listAdd(id, entries) {
      const annotations = writing();
      entriesOf(entries.length);
      for (const { comment } of entries) if (comment !== null) checkText('comment', comment, MOST.comment);
      await listAt(id);
      const views = await viewsAt(entries.map(({ feature }) => feature), 'features');
      const added = await annotations.addEntries(id, views.map(({ row: { dictionaryId, index } }, i) => ({ dictionaryId, index, comment: entries[i]!.comment })), MOST.entries);
      if (!added) throw new CallerError('LIMIT_EXCEEDED', `a list holds at most ${MOST.entries} features: begin another`, { field: ['features'] });
      return freshList(id);
    },
    async listRemove(id, features) {
      const annotations = writing();
      entriesOf(features.length);
      await listAt(id);
      await annotations.removeEntries(id, (await viewsAt(features, 'features')).map(({ row }) => row));
      return freshList(id);
    },
    async explanationCreate(feature, text) {
      const annotations = writing();
      checkText('description', text, MOST.explanation);
      const explainer = `${PERSON}${who.author}`;
      const view = await viewAt(feature);
      const before = ((await annotations.explanations([view.row]))[0] ?? []).find((row) => row.explainer === explainer);
      // From another catalog, by a key of this name there.
      if (before !== undefined && !mine(before)) throw new CallerError('FORBIDDEN', `another ${who.author} has explained this feature: only they and admins change it`);
      if (before !== undefined && before.description !== text) throw new CallerError('BAD_INPUT', 'you have explained this feature already: explanationUpdate changes the words', { field: ['feature'] });
      const { dictionaryId, index } = view.row;
      if (before === undefined) await annotations.saveExplanation({ dictionaryId, index, explainer, description: text, owner: who.owner, weightsHash: view.dictionary.weightsHash });
      return { feature, explainer, view };
    },
    async explanationUpdate(place, text) {
      const annotations = writing();
      checkText('description', text, MOST.explanation);
      const { view, row } = await personAt(place);
      const { dictionaryId, index, explainer, owner } = row;
      await annotations.saveExplanation({ dictionaryId, index, explainer, owner, description: text, weightsHash: view.dictionary.weightsHash });
      return view;
    },
    async explanationDelete(place) {
      const annotations = writing();
      const { row } = await personAt(place);
      await annotations.deleteExplanation(row, row.explainer);
    },
    explanations: async (keys) => (store === undefined ? keys.map(() => []) : store.explanations(keys)),
  };
}

/** Pages of several lists that go on after the same cursor; `read` is asked for one row more than a page has. */
async function pages<Row>(scope: string, args: PageArgs, place: (row: Row) => number, read: (limit: number, after: number) => Promise<readonly (readonly Row[])[]>): Promise<Page<Row>[]> {
  const first = checkFirst(args.first);
  const after = args.after ?? null;
  const lists = await read(first + 1, after === null ? 0 : (decodeCursor(scope, ['index'], after)[0] as number));
  return lists.map((rows) => ({ edges: rows.slice(0, first).map((node) => ({ node, cursor: encodeCursor(scope, [place(node)]) })), hasNext: rows.length > first, hasPrevious: after !== null }));
}
