/** How a person is spoken of: he/him/his or she/her/her. */
export interface Person {
  readonly name: string;
  readonly subject: 'he' | 'she';
  readonly object: 'him' | 'her';
  readonly possessive: 'his' | 'her';
}

const HE =
  'John Tom James Paul Mark David Peter Simon Daniel Robert George Henry Jack Sam Ben Adam Luke Max Oscar Victor Frank Martin Andrew Michael Kevin Brian Eric Steven Richard Thomas William Edward Charles Joseph Anthony Jason Ryan Gary Scott Jeff Carl Roger Alan Ralph Leo Felix Hugo Ivan Omar Ravi'.split(
    ' ',
  );
const SHE =
  'Mary Anna Lucy Emma Alice Sarah Laura Julia Kate Jane Helen Susan Karen Linda Nancy Lisa Betty Sandra Ashley Emily Donna Carol Ruth Sharon Maria Diana Amy Rachel Nina Clara Rose Grace Martha Judy Megan Jessica Hannah Olivia Sophia Ellen Irene Paula Vera Tina Wendy Zoe Leila Nora Ingrid Priya'.split(
    ' ',
  );

/** Every first name the generators use; each is one token of the demo model's tokenizer when a space stands before it. */
export const PEOPLE: readonly Person[] = [
  ...HE.map((name): Person => ({ name, subject: 'he', object: 'him', possessive: 'his' })),
  ...SHE.map((name): Person => ({ name, subject: 'she', object: 'her', possessive: 'her' })),
];

/**
 * One name in five. These never stand in an indirect-object sentence of the training split; they do stand in its stories,
 * so the model knows them as names and a right answer cannot be a remembered sentence.
 */
export const HELD_OUT_NAMES: readonly string[] = PEOPLE.filter((_, i) => i % 5 === 2).map((person) => person.name);

/** The names that indirect-object sentences of the training split use. */
export const TRAINING_NAMES: readonly string[] = PEOPLE.filter((_, i) => i % 5 !== 2).map((person) => person.name);
