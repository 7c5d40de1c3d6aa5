import { findBreakingChanges, findDangerousChanges, isEnumType, isInputObjectType, isInterfaceType, isObjectType, type GraphQLSchema } from 'graphql';

/** A change between two versions of the contract: graphql-js's kind of change, and what it says of it. */
export interface ContractChange {
  readonly type: string;
  readonly description: string;
}

export interface ContractChanges {
  /** Clients of the release may fail, and were not told. */
  readonly breaking: readonly ContractChange[];
  /** Removals of what the release had marked @deprecated. */
  readonly announced: readonly ContractChange[];
  /** What may surprise a client that takes lists of possibilities for complete, e.g. new enum values. */
  readonly dangerous: readonly ContractChange[];
}

/** What a client written for `released` meets in `current`. */
export function changesBetween(released: GraphQLSchema, current: GraphQLSchema): ContractChanges {
  const removals = announcedRemovals(released);
  const all = findBreakingChanges(released, current);
  const isAnnounced = ({ description }: ContractChange): boolean => removals.has(description);
  return { breaking: all.filter((change) => !isAnnounced(change)), announced: all.filter(isAnnounced), dangerous: findDangerousChanges(released, current) };
}

/** Removals of deprecated fields, arguments, input fields and enum values, in graphql-js's words. */
function announcedRemovals(schema: GraphQLSchema): ReadonlySet<string> {
  const words = new Set<string>();
  const isDeprecated = (thing: { readonly deprecationReason?: string | null | undefined }): boolean => thing.deprecationReason !== undefined && thing.deprecationReason !== null;
  for (const type of Object.values(schema.getTypeMap())) {
    if (isEnumType(type)) {
      for (const value of type.getValues()) if (isDeprecated(value)) words.add(`${value.name} was removed from enum type ${type.name}.`);
    } else if (isInputObjectType(type)) {
      for (const field of Object.values(type.getFields())) if (isDeprecated(field)) words.add(`${type.name}.${field.name} was removed.`);
    } else if (isObjectType(type) || isInterfaceType(type)) {
      for (const field of Object.values(type.getFields())) {
        if (isDeprecated(field)) words.add(`${type.name}.${field.name} was removed.`);
        for (const argument of field.args) if (isDeprecated(argument)) words.add(`${type.name}.${field.name} arg ${argument.name} was removed.`);
      }
    }
  }
  return words;
}
