import { BREAK, Kind, visit, type DocumentNode, type FragmentDefinitionNode, type OperationDefinitionNode, type SelectionSetNode } from 'graphql';

/** Fields of the operation with its fragments written out: what the compiled function's size grows with. */
const MOST_FIELDS = 1500;
/** Text that cannot end, or be taken for, anything in the source a query is compiled to. */
const PLAIN = /^[\w .,:/@+-]*$/;

/**
 * Whether an operation of a validated document may be compiled to JavaScript. Compiled are the queries of programs: values in
 * variables, no introspection. Everything else is left to graphql-js, which makes no source of what it is given:
 *  - mutations, which compiling gains nothing;
 *  - text values beyond names and numbers: graphql-jit 0.8.9 puts them into the source, and reads some back as code ("__MAGIC_");
 *  - names that begin with two underscores, which as keys of an object mean something to JavaScript (an alias may be `__proto__`);
 *  - directives, whose combinations over several spreads of a fragment it knows only in part;
 *  - documents that are large once their fragments are written out.
 */
export function isCompilable(document: DocumentNode, operation: OperationDefinitionNode): boolean {
  if (operation.operation !== 'query') return false;
  let plain = true;
  visit(document, {
    Directive: () => ((plain = false), BREAK),
    Name: ({ value }) => (value.startsWith('__') && value !== '__typename' ? ((plain = false), BREAK) : undefined),
    StringValue: ({ value }) => (!PLAIN.test(value) || value.includes('__') ? ((plain = false), BREAK) : undefined),
  });
  if (!plain) return false;
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  return fieldsOf(operation.selectionSet, fragments, MOST_FIELDS) <= MOST_FIELDS;
}

/** Fields with fragments written out; more than `most`, whatever it is, where it is more. Work is O(most). */
function fieldsOf(set: SelectionSetNode, fragments: ReadonlyMap<string, FragmentDefinitionNode>, most: number): number {
  let fields = 0;
  for (const selection of set.selections) {
    // Spreads count too: fragments of nothing but fragments are work.
    fields++;
    if (fields > most) return fields;
    const inner = selection.kind === Kind.FRAGMENT_SPREAD ? fragments.get(selection.name.value)?.selectionSet : selection.selectionSet;
    if (inner !== undefined) fields += fieldsOf(inner, fragments, most - fields);
  }
  return fields;
}
