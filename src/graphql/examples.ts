import type { ExampleSubject } from '../catalog/exampleSubject.ts';

/** Operations the IDE opens with, about something this catalog has. */
export function exampleOperations({ model, dictionary, index, word, text }: ExampleSubject): { title: string; query: string }[] {
  // JSON's strings are GraphQL's.
  const quote = (value: string): string => JSON.stringify(value);
  const address = `${model}/${dictionary}/${index}`;
  return [
    {
      title: 'What is here',
      query: `# The models of this catalog and their dictionaries. Run it with Ctrl-Enter.
query Overview {
  models {
    nodes {
      name layers dModel
      dictionaries {
        nodes { name hookPoint nFeatures quality { fvu l0 } }
      }
    }
  }
}`,
    },
    {
      title: 'One feature',
      query: `query OneFeature {
  feature(address: "${address}") {
    density maxActivation
    bestExplanation { description explainer scores { scorer judge value interval { low high } } }
    exemplars(first: 3) { maxActivation texts activations }
    topLogits(first: 5) { text value }
    neighbours(first: 3) { cosine feature { address } }
    incomingEdges(first: 5) { edges { effect standardError node { address } } }
  }
}`,
    },
    {
      title: 'What feeds it',
      query: `# The measured graph upstream of a feature; a token is given as { token: { model: "${model}", text: ")" } }.
query Circuit {
  circuit(target: { feature: "${address}" }, depth: 3, perNode: 3) {
    nodes { depth feature { address bestExplanation { description } } token { text } }
    edges { effect interval { low high } n source { feature { address } } target { feature { address } token { text } } }
    truncated
  }
}`,
    },
    {
      title: 'Search',
      query: `query Search {
  searchFeatures(query: ${quote(word)}, first: 10) {
    matched
    edges { relevance highlight node { address bestScore } }
  }
}`,
    },
    {
      title: 'Read a text',
      query: `query ReadText {
  activations(model: "${model}", text: ${quote(text)}, topK: 3) {
    tokens
    dictionaries {
      dictionary { name }
      strongest { activation position feature { address bestExplanation { description } } }
    }
  }
}`,
    },
    {
      title: 'Patch',
      query: `mutation Patch {
  patch(input: {
    model: "${model}"
    base: ${quote(text)}
    features: [{ feature: "${address}", operation: ABLATE }]
  }) {
    patchRun {
      id editMagnitude
      positions { token klFromBase changes { token baseLogProb patchedLogProb } }
    }
    userErrors { code field message }
  }
}`,
    },
  ];
}
