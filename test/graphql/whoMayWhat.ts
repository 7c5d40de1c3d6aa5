import type { Scope } from '../../src/domain/viewer.ts';

/** What a root field needs, and an operation that asks for it. `hidden`: the same about a restricted model; it must answer as for a model that does not exist. */
export interface Rule {
  readonly scope: Scope;
  readonly ask: (model: string) => string;
}

const PATCH = (model: string): string => `{ model: "${model}", base: "a", features: [{ feature: "${model}/0-tied-r2/1", operation: ABLATE }] }`;
const id = (text: string): string => Buffer.from(text).toString('base64url');

/** Every field of Query, Mutation and Subscription; a field without a rule fails the test. */
export const RULES: Readonly<Record<string, Rule>> = {
  'Query.node': { scope: 'read', ask: (model) => `{ node(id: "${id(`Feature:${model}/0-tied-r2/1`)}") { id } }` },
  'Query.nodes': { scope: 'read', ask: (model) => `{ nodes(ids: ["${id(`Model:${model}`)}", "${id(`Dictionary:${model}/0-tied-r2`)}", "${id(`Explanation:${model}/0-tied-r2/1/pattern-v1`)}"]) { id } }` },
  'Query.server': { scope: 'read', ask: () => '{ server { version } }' },
  'Query.models': { scope: 'read', ask: () => '{ models { nodes { name } } }' },
  'Query.model': { scope: 'read', ask: (model) => `{ model(name: "${model}") { name } }` },
  'Query.dictionary': { scope: 'read', ask: (model) => `{ dictionary(model: "${model}", name: "0-tied-r2") { name } }` },
  'Query.dictionaries': { scope: 'read', ask: (model) => `{ dictionaries(filter: { model: "${model}" }) { nodes { name } } }` },
  'Query.feature': { scope: 'read', ask: (model) => `{ feature(address: "${model}/0-tied-r2/1") { address } }` },
  'Query.features': { scope: 'read', ask: (model) => `{ features(filter: { model: "${model}" }) { nodes { address } } }` },
  'Query.searchFeatures': { scope: 'read', ask: (model) => `{ searchFeatures(query: "giraffe", filter: { model: "${model}" }) { nodes { address } } }` },
  'Query.activations': { scope: 'patch', ask: (model) => `{ activations(model: "${model}", text: "a") { tokens } }` },
  'Query.token': { scope: 'read', ask: (model) => `{ token(model: "${model}", id: 3) { text } }` },
  'Query.compareFeatures': { scope: 'read', ask: (model) => `{ compareFeatures(a: "${model}/0-tied-r2/1", b: "${model}/0-tied-r2/2") { topLogitOverlap } }` },
  'Query.circuit': { scope: 'read', ask: (model) => `{ circuit(target: { feature: "${model}/1-tied-r2/1" }) { truncated } }` },
  'Query.patchRun': { scope: 'read', ask: () => `{ patchRun(id: "${id('PatchRun:none')}") { id } }` },
  'Query.runs': { scope: 'read', ask: () => '{ runs { nodes { key } } }' },
  'Query.run': { scope: 'read', ask: () => '{ run(key: "none") { key } }' },
  'Mutation.patch': { scope: 'patch', ask: (model) => `mutation { patch(input: ${PATCH(model)}) { userErrors { code message } } }` },
  'Mutation.patches': { scope: 'patch', ask: (model) => `mutation { patches(input: { patches: [${PATCH(model)}] }) { results { userErrors { code message } } } }` },
  'Mutation.ablate': { scope: 'patch', ask: (model) => `mutation { ablate(input: { model: "${model}", prompt: "a", features: ["${model}/0-tied-r2/1"] }) { userErrors { code message } } }` },
  'Mutation.steer': { scope: 'patch', ask: (model) => `mutation { steer(input: { model: "${model}", prompt: "a", features: [{ feature: "${model}/0-tied-r2/1", operation: ABLATE }] }) { userErrors { code message } } }` },
  'Mutation.explainFeature': { scope: 'patch', ask: (model) => `mutation { explainFeature(input: { feature: "${model}/0-tied-r2/1" }) { userErrors { code message } } }` },
  'Subscription.patches': { scope: 'patch', ask: (model) => `subscription { patches(input: { patches: [${PATCH(model)}] }) { done userErrors { code message } } }` },
  'Query.featureLists': { scope: 'read', ask: () => '{ featureLists { nodes { name } } }' },
  'Mutation.explanationCreate': { scope: 'annotate', ask: (model) => `mutation { explanationCreate(input: { feature: "${model}/0-tied-r2/1", description: "about ${model}" }) { userErrors { code message } } }` },
  'Mutation.explanationUpdate': { scope: 'annotate', ask: (model) => `mutation { explanationUpdate(input: { id: "${id(`Explanation:${model}/0-tied-r2/1/person/x`)}", description: "a" }) { userErrors { code message } } }` },
  'Mutation.explanationDelete': { scope: 'annotate', ask: (model) => `mutation { explanationDelete(input: { id: "${id(`Explanation:${model}/0-tied-r2/1/person/x`)}" }) { userErrors { code message } } }` },
  'Mutation.noteCreate': { scope: 'annotate', ask: (model) => `mutation { noteCreate(input: { feature: "${model}/0-tied-r2/1", text: "a" }) { userErrors { code message } } }` },
  'Mutation.noteDelete': { scope: 'annotate', ask: () => `mutation { noteDelete(input: { id: "${id('Note:999')}" }) { userErrors { code message } } }` },
  'Mutation.featureListCreate': { scope: 'annotate', ask: () => `mutation { featureListCreate(input: { name: "" }) { userErrors { code message } } }` },
  'Mutation.featureListUpdate': { scope: 'annotate', ask: () => `mutation { featureListUpdate(input: { id: "${id('FeatureList:999')}", name: "b" }) { userErrors { code message } } }` },
  'Mutation.featureListDelete': { scope: 'annotate', ask: () => `mutation { featureListDelete(input: { id: "${id('FeatureList:999')}" }) { userErrors { code message } } }` },
  'Mutation.featureListAdd': { scope: 'annotate', ask: (model) => `mutation { featureListAdd(input: { id: "${id('FeatureList:999')}", features: [{ feature: "${model}/0-tied-r2/1" }] }) { userErrors { code message } } }` },
  'Mutation.featureListRemove': { scope: 'annotate', ask: (model) => `mutation { featureListRemove(input: { id: "${id('FeatureList:999')}", features: ["${model}/0-tied-r2/1"] }) { userErrors { code message } } }` },
};
