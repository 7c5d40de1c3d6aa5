/** For each of FEW_SHOT_FEATURES a text on which it stays silent: most text is silent, and a judge should have seen that. */
export const QUIET_FRAGMENTS: readonly (readonly string[])[] = [
  ['The', ' choir', ' meets', ' again', ' on', ' Thursday', ' evening', ',', ' in', ' the', ' small', ' hall', '.'],
  ['A', ' fox', ' crossed', ' the', ' yard', ',', ' looked', ' up', ' and', ' was', ' gone', '.'],
  ['Please', ' leave', ' the', ' keys', ' under', ' the', ' third', ' flower', 'pot', ' from', ' the', ' left', '.'],
  ['The', ' contract', ' ends', ' in', ' March', ',', ' unless', ' both', ' sides', ' agree', ' to', ' renew', ' it', '.'],
];
