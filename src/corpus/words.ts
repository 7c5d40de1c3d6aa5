// Word lists behind the templates. Kept small on purpose: the tokenizer has 4096 tokens. Every word that may follow "a"
// starts with a consonant sound, so templates need no choice between "a" and "an".

const words = (list: string): readonly string[] => list.trim().split(/\s+/);
const phrases = (list: string): readonly string[] => list.trim().split(/\s*,\s*/);

/** Slot name → what may fill it. Used by `fill`. */
export const WORDS: Readonly<Record<string, readonly string[]>> = {
  place: words(`store school park garden station market library river hospital office museum beach kitchen church farm bridge
    restaurant theatre hotel bank village castle forest lake harbour`),
  gift: words(`book ring drink ball letter key bag cup map hat pen lamp flower basket coat watch box bottle ticket camera
    picture toy necklace computer cake sandwich guitar kite jacket present`),
  adj: words('small big red blue green new black white warm heavy bright strange beautiful broken cheap tiny golden wooden'),
  mood: words('happy sad tired angry proud worried hungry quiet nervous glad'),
  text: words('story poem letter note message song page'),
  day: words('Monday Tuesday Wednesday Thursday Friday Saturday Sunday'),
  month: words('January February March April May June July August September October November December'),
  task: words('work cooking painting cleaning homework shopping repair project game dance'),
  city: words('London Paris Rome Berlin Madrid Vienna Oslo Dublin Boston Chicago Tokyo Cairo Lisbon Prague Geneva Sydney'),
  country: words('France Italy Spain Norway Japan Egypt Canada Brazil India Kenya Mexico Greece'),
  job: words('teacher doctor farmer baker driver lawyer nurse painter writer singer pilot cook judge sailor soldier'),
  animal: words('dog cat horse bird rabbit fish cow sheep fox bear wolf mouse'),
  food: words('bread soup rice cheese fruit fish meat cake milk tea coffee sugar'),
  relative: words('mother father sister brother cousin friend neighbour daughter son wife'),
  weather: phrases('raining, snowing, very cold, warm and sunny, dark, windy, getting late'),
  number: words('two three four five six seven eight nine ten twelve twenty thirty fifty'),
  few: words('two three four five six'),
  adverb: words('slowly quickly quietly carefully finally suddenly gently'),
  colour: words('red blue green yellow white black brown grey'),
  room: words('kitchen bedroom bathroom cellar hall attic'),
  material: words('wood stone paper glass iron wool cotton silver gold'),
  field: words('Health Trade Science Music Sports Food Water Energy History Travel Art Weather'),
  region: words('World European African Asian American National Royal Northern Southern Central'),
  body: words('Group Union Council Agency Institute Society Office Club Fund League'),
  thing: words('house car boat road ship window door wall tree chair table clock horse train'),
};
