import type { LiveActivation, TextActivations as Activations } from '../../catalog/activations.ts';
import { addressOf } from '../../catalog/features.ts';
import type { Resolver } from '../context.ts';

export const TextActivations = {
  model: (({ model }, _, { loaders }) => loaders.model.load(model)) satisfies Resolver<Activations>,
};

export const FeatureActivation = {
  feature: ((hit, _, { loaders }) => loaders.feature.load(hit)) satisfies Resolver<LiveActivation>,
  address: (({ dictionary, index }) => addressOf(dictionary, index)) satisfies Resolver<LiveActivation>,
};
