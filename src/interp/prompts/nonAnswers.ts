/**
 * Refusals and questions back. Each names enough of the sentence that a description such as "sorry and other apologies" or
 * "unknown words" is none.
 */
export const REFUSAL = anyOf(
  /i(?:['’]m| am) (?:sorry|unable|not able|not sure|an ai|a language model|just an ai)\b/,
  /i (?:can(?:not|['’]t| ?not)|could(?:n['’]t| not)|won['’]t|do(?:n['’]t| not) (?:know|have|understand|see|think))\b/,
  /(?:i )?(?:apologi[sz]e|sorry)(?:\W*$|[,.!]? (?:i|but|no|the|this|there|that|we|for)\b)/,
  /as an? (?:ai|(?:large )?language model|assistant)\b/,
  /unfortunately,? (?:i|we|the|this|there|it|no)\b/,
  /(?:it is |it['’]s )?(?:unable|(?:not |im)possible) to (?:determine|identify|find|explain|say|answer|describe|provide|help|see|tell|infer)\b/,
  /there (?:is|are)(?:n['’]t| not| no)\b[^.]*\b(?:enough|information|pattern|context|explanation|text|fragments|data)\b/,
  /(?:it is |it['’]s )(?:unclear|unknown|undetermined)\b/,
  /unclear (?:what|which|from|why|whether)\b/,
  /please (?:provide|give|share|send)(?: me| us)? (?:the|more|some|a|your)\b/,
  /(?:(?:could|can|would) you|what (?:would|do) you)\b[^?]*\?$/,
  /no (?:clear |common |single |obvious )?(?:explanation|description|answer|pattern|meaning)(?:\W*$| (?:can|could|is|was|found|emerges|exists|available|possible)\b)/,
  /(?:none|nothing|unknown|null|undefined|n\/a|na|unclear|not sure|no idea)\W*$/,
);

/** Beginnings of a reasoning that nobody asked for. */
export const THINKING_ALOUD = anyOf(
  /let(?:['’]s| us| me) (?:look|see|think|analy[sz]e|start|find|examine|break|consider|first|try|check|go)\b/,
  /first,? (?:i|we|let)\b/,
  /(?:i|we) (?:need|have|want|should|must|will|am going|see that|notice|think|believe|would)\b/,
  /to (?:find|determine|answer|figure|identify|explain|describe)\b[^.]{0,60}, (?:i|we|let|you|one)\b/,
  /looking at (?:the|these|this|all) (?:fragments?|texts?|tokens?|data|numbers?|examples?|activations?|patterns?)\b/,
  /(?:okay|ok|so|now|well|hmm|wait),? (?:so|let|i|we|the user|maybe|no)\b/,
  /the (?:user|task|question|prompt) (?:wants|asks|is asking|is to|says|requires|gives|provides|shows|here)\b/,
);

/** One expression for texts that begin with any of these. */
function anyOf(...beginnings: readonly RegExp[]): RegExp {
  return new RegExp(`^(?:${beginnings.map(({ source }) => source).join('|')})`, 'iu');
}
