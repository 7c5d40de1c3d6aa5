import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unpickle, type Allowed } from '../../../src/adapters/formats/pickle.ts';
import { numberOf, type PickleValue } from '../../../src/adapters/formats/pickleValues.ts';
import { bool, call, dict, emptyDict, global, instance, integer, list, none, opcodes, persistent, pickle, text, tuple } from './pickleBytes.ts';

const ALLOWED = new Map<string, Allowed>([['collections.OrderedDict', 'dict'], ['m.Class', 'class'], ['m.call', 'call'], ['m.Name', 'name']]);
const read = (bytes: Uint8Array, maxOps?: number): PickleValue => unpickle(bytes, ALLOWED, 'f.pt', maxOps === undefined ? {} : { maxOps });
const bad = (message: RegExp): object => ({ code: 'BAD_DICTIONARY', message });

test('plain data comes out as it went in', () => {
  const value = read(pickle(dict(text('a'), list(integer(-5), bool(true), none), text('ü'), tuple(opcodes('G\x40\x09\x21\xfb\x54\x44\x2d\x18'), opcodes('\x8a\x02\x00\xff')), integer(1), opcodes('C\x02ab'))));
  assert.deepEqual(value, {
    kind: 'dict',
    entries: new Map<PickleValue, PickleValue>([
      ['a', { kind: 'list', items: [-5, true, null] }],
      ['ü', { kind: 'tuple', items: [Math.PI, -256] }],
      [1, new Uint8Array([97, 98])],
    ]),
  });
  assert.equal(read(pickle(opcodes('\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01'))), 2n ** 64n);
});

test('allowed names become records; nothing is called', () => {
  assert.deepEqual(read(pickle(call(global('m', 'call'), integer(1)))), { kind: 'object', name: 'm.call', args: [1], state: null });
  assert.deepEqual(read(pickle(instance(global('m', 'Class'), dict(text('x'), integer(1))))), { kind: 'object', name: 'm.Class', args: [], state: { kind: 'dict', entries: new Map([['x', 1]]) } });
  assert.deepEqual(read(pickle(persistent(tuple(text('storage'))))), { kind: 'persistent', id: { kind: 'tuple', items: ['storage'] } });
  // A module's state_dict has _metadata; nothing else may be put on a dict.
  const ordered = call(global('collections', 'OrderedDict'));
  assert.deepEqual(read(pickle(ordered, dict(text('_metadata'), emptyDict), opcodes('b'))), { kind: 'dict', entries: new Map() });
  assert.throws(() => read(pickle(ordered, dict(text('__class__'), none), opcodes('b'))), bad(/gives a state to a dict/));
});

const HOSTILE: readonly (readonly [string, string, string])[] = [
  ['os', 'system', 'rm -rf ~'], ['posix', 'system', 'id'], ['nt', 'system', 'id'], ['subprocess', 'Popen', 'id'], ['builtins', 'eval', '1'], ['builtins', 'exec', '1'], ['__builtin__', 'getattr', 'x'],
  ['torch', 'load', 'x'], ['torch.hub', 'load', 'x'], ['numpy', 'load', 'x'], ['pickle', 'loads', 'x'], ['importlib', 'import_module', 'os'], ['collections', 'OrderedDict.update', 'x'], ['m', 'Class.__reduce__', 'x'], ['', 'm.call', 'x'],
];

test('every other name is refused and named, however it is written', () => {
  for (const [module, name, argument] of HOSTILE) {
    const message = bad(new RegExp(`asks for "${`${module}.${name}`.replaceAll('.', '\\.')}".*nothing was run`));
    assert.throws(() => read(pickle(call(global(module, name), text(argument)))), message);
    assert.throws(() => read(pickle(text(module), text(name), opcodes('\x93'), tuple(text(argument)), opcodes('R'))), message); // STACK_GLOBAL
    assert.throws(() => read(pickle(instance(global(module, name), emptyDict))), message);
  }
});

test('allowed names are refused in other uses', () => {
  assert.throws(() => read(pickle(call(global('m', 'Name'), integer(1)))), bad(/calls m\.Name, which is refused/));
  assert.throws(() => read(pickle(call(global('m', 'Class'), integer(1)))), bad(/calls m\.Class/));
  assert.throws(() => read(pickle(instance(global('m', 'call'), emptyDict))), bad(/makes an object of m\.call/));
  assert.throws(() => read(pickle(call(global('collections', 'OrderedDict'), list()))), bad(/expected an empty one/));
  assert.throws(() => read(pickle(call(text('m.call'), integer(1)))), bad(/calls "m\.call"/));
  assert.throws(() => read(pickle(call(call(global('m', 'call'), integer(1)), integer(1)))), bad(/calls an object of m\.call/));
  assert.throws(() => read(pickle(call(global('m', 'call')), emptyDict, opcodes('b'))), bad(/gives a state to an object of m\.call/));
  assert.throws(() => read(pickle(instance(global('m', 'Class'), emptyDict), emptyDict, opcodes('b'))), bad(/gives a state/));
});

test('opcodes PyTorch does not write are refused: old instances, extensions, text numbers, sets, buffers', () => {
  for (const [name, code] of Object.entries({ INST: '(ios\nsystem\n', OBJ: '(o', EXT1: '\x82\x01', EXT2: '\x83\x01\x00', EXT4: '\x84\x01\x00\x00\x00', PERSID: 'P1\n', INT: 'I1\n', STRING: "S'a'\n", NEWOBJ_EX: '\x92', EMPTY_SET: '\x8f', NEXT_BUFFER: '\x97', LONG4: '\x8b\x01\x00\x00\x00\x01', DUP: '2' })) {
    assert.throws(() => read(pickle(integer(1), opcodes(code))), bad(/opcode 0x[0-9a-f]{2} at byte [78]/), name);
  }
  assert.throws(() => read(opcodes('\x80\x01N.')), bad(/protocol 1; expected 2 to 5/));
  assert.throws(() => read(opcodes('\x80\x06N.')), bad(/protocol 6/));
});

test('damaged pickles are errors of the file: too short, too long, empty stacks, wrong kinds', () => {
  const whole = pickle(dict(text('abc'), call(global('m', 'call'), integer(7))));
  for (let length = 0; length < whole.length; length++) assert.throws(() => read(whole.subarray(0, length)), { code: 'BAD_DICTIONARY' }, `first ${length} bytes`);
  const cases: Record<string, Buffer> = {
    trailing: Buffer.concat([whole, Buffer.from('N')]), two: pickle(none, none), empty: pickle(), mark: pickle(opcodes('(')), pop: pickle(opcodes('0')), unmarked: pickle(opcodes('t')),
    append: pickle(none, none, opcodes('a')), setitem: pickle(list(), none, none, opcodes('s')), odd: pickle(opcodes('}(Nu')), recall: pickle(opcodes('h\x05')), 'list as key': pickle(dict(list(), none)),
    'huge text': pickle(opcodes('X\xff\xff\xff\xff')), 'huge text, 8 bytes': pickle(opcodes('\x8d\xff\xff\xff\xff\xff\xff\xff\xff')), 'huge bytes': pickle(opcodes('B\xff\xff\xff\x7f')), frame: pickle(opcodes('\x95\xff\xff\xff\xff\xff\xff\xff\xff')),
    'endless name': pickle(opcodes(`c${'a'.repeat(300)}\nb\n`)), 'name by number': pickle(integer(1), integer(2), opcodes('\x93')), 'arguments no tuple': pickle(global('m', 'call'), none, opcodes('R')),
  };
  for (const [name, bytes] of Object.entries(cases)) assert.throws(() => read(bytes), { code: 'BAD_DICTIONARY' }, name);
});

test('a pickle of many steps stops at the limit; one that doubles itself at every step costs a step each', () => {
  assert.throws(() => read(pickle(opcodes('N0'.repeat(600_000)))), bad(/more than 1000000 steps/));
  assert.throws(() => read(pickle(none), 1), bad(/more than 1 steps/));
  // [[…], […]] with each level holding the one below twice: 2^60 leaves by 60 levels.
  let level: Buffer = list();
  for (let i = 0; i < 60; i++) level = Buffer.concat([level, opcodes(`q${String.fromCharCode(i)}0`), opcodes(`](h${String.fromCharCode(i)}h${String.fromCharCode(i)}e`)]);
  const value = read(pickle(level));
  assert.ok(typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'list' && value.items[0] === value.items[1]);
  // A list in itself.
  const loop = read(pickle(opcodes(']q\x00h\x00a')));
  assert.ok(typeof loop === 'object' && loop !== null && 'kind' in loop && loop.kind === 'list' && loop.items[0] === loop);
});

test('numpy scalars are numbers where they are what they say', () => {
  const allowed = new Map<string, Allowed>([['numpy.dtype', 'call'], ['numpy.core.multiarray.scalar', 'call'], ['_codecs.encode', 'call']]);
  const scalar = (type: string, order: string, bytes: string): number | undefined => {
    const dtype = Buffer.concat([call(global('numpy', 'dtype'), text(type), bool(false), bool(true)), tuple(integer(3), text(order), none, none, none, integer(-1), integer(-1), integer(0)), opcodes('b')]);
    return numberOf(unpickle(pickle(call(global('numpy.core.multiarray', 'scalar'), dtype, call(global('_codecs', 'encode'), text(bytes), text('latin1')))), allowed, 'f.pt'));
  };
  assert.equal(scalar('f8', '<', '\x00\x00\x00\x00\x00\x00\x08@'), 3);
  assert.equal(scalar('f4', '<', '\x00\x00\x80?'), 1);
  assert.equal(scalar('i8', '<', '\x05\x00\x00\x00\x00\x00\x00\x00'), 5);
  assert.equal(scalar('f8', '<', '\x00'), undefined);
  assert.equal(scalar('f8', '>', '\x00\x00\x00\x00\x00\x00\x08@'), undefined);
  assert.equal(scalar('O', '<', '\x00\x00\x80?'), undefined);
});
