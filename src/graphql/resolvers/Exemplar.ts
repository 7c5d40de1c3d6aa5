import type { Exemplar as DomainExemplar } from '../../domain/feature.ts';
import type { Context, Resolver } from '../context.ts';

interface ExemplarView {
  readonly exemplar: DomainExemplar;
  readonly model: string;
}

function textsOf({ exemplar, model }: ExemplarView, { loaders }: Context): Promise<readonly (string | null)[]> {
  return loaders.tokens.load({ model, ids: exemplar.ids });
}

export const Exemplar = {
  kind: (({ exemplar }) => exemplar.kind) satisfies Resolver<ExemplarView>,
  rank: (({ exemplar }) => exemplar.rank) satisfies Resolver<ExemplarView>,
  row: (({ exemplar }) => exemplar.row) satisfies Resolver<ExemplarView>,
  start: (({ exemplar }) => exemplar.start) satisfies Resolver<ExemplarView>,
  maxActivation: (({ exemplar }) => exemplar.maxActivation) satisfies Resolver<ExemplarView>,
  activations: (({ exemplar }) => exemplar.activations) satisfies Resolver<ExemplarView>,
  texts: ((view, _, context) => textsOf(view, context)) satisfies Resolver<ExemplarView>,
  text: (async (view, _, context) => (await textsOf(view, context)).map((text) => text ?? '\uFFFD').join('')) satisfies Resolver<ExemplarView>,
  tokens: (async (view, _, context) => {
    const texts = await textsOf(view, context);
    return view.exemplar.ids.map((id, i) => ({ id, text: texts[i], activation: view.exemplar.activations[i] }));
  }) satisfies Resolver<ExemplarView>,
};
