import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crossings, layeredLayout, type LayeredLink } from '../../src/causal/layeredLayout.ts';
import { Rng } from '../../src/math/rng.ts';

const SIZES = { node: 100, bend: 10, gap: 20 };
const link = (source: string, target: string): LayeredLink => ({ source, target });

test('crossings are counted by pairs of links between neighbouring rows', () => {
  const rows = [['a', 'b', 'c'], ['x', 'y', 'z']];
  assert.equal(crossings(rows, [link('x', 'a'), link('y', 'b'), link('z', 'c')]), 0);
  assert.equal(crossings(rows, [link('x', 'c'), link('y', 'b'), link('z', 'a')]), 3);
  // Links that share an end do not cross.
  assert.equal(crossings(rows, [link('x', 'a'), link('x', 'b'), link('y', 'b')]), 0);
});

test('a tree drawn in the worst order is drawn without crossings', () => {
  const rows = [['t'], ['c', 'a', 'b'], ['a1', 'b1', 'c1', 'a2', 'b2', 'c2']];
  const links = [...['a', 'b', 'c'].map((id) => link(id, 't')), ...['a1', 'a2', 'b1', 'b2', 'c1', 'c2'].map((id) => link(id, id[0]!))];
  assert.ok(crossings(rows, links) >= 5);
  assert.equal(crossings(layeredLayout(rows, links, SIZES).rows, links), 0);
});

test('random graphs: nothing overlaps, every node is in its row once, no more crossings than before, bends lead links past rows', () => {
  for (let seed = 0; seed < 30; seed++) {
    const rng = Rng.derive(seed, 'layout');
    const rows = Array.from({ length: 5 }, (_, r) => Array.from({ length: 1 + rng.int(8) }, (_, i) => `${r}/${i}`));
    const links: LayeredLink[] = [];
    for (let i = 0; i < 20; i++) {
      const [a, b] = [rng.int(5), rng.int(5)];
      if (a !== b) links.push(link(rows[Math.max(a, b)]![rng.int(rows[Math.max(a, b)]!.length)]!, rows[Math.min(a, b)]![rng.int(rows[Math.min(a, b)]!.length)]!));
    }
    const layout = layeredLayout(rows, links, SIZES);
    assert.deepEqual(layout, layeredLayout(rows, links, SIZES));
    assert.deepEqual(layout.rows.map((row) => row.toSorted()), rows.map((row) => row.toSorted()));
    for (const [r, row] of layout.rows.entries()) {
      const boxes = row.map((id) => ({ x: layout.places.get(id)!.x, half: 50 }));
      const passing = layout.paths.flatMap((path) => path.slice(1, -1).filter((point) => point.row === r).map(({ x }) => ({ x, half: 5 })));
      const all = [...boxes, ...passing].sort((a, b) => a.x - b.x);
      for (const [i, box] of all.entries()) {
        assert.ok(box.x - box.half >= -1e-6 && box.x + box.half <= layout.width + 1e-6, `seed ${seed}: inside`);
        if (i > 0) assert.ok(box.x - all[i - 1]!.x >= box.half + all[i - 1]!.half + SIZES.gap - 1e-6, `seed ${seed}: row ${r} overlaps`);
      }
      for (const id of row) assert.equal(layout.places.get(id)!.row, r);
    }
    for (const [l, path] of layout.paths.entries()) {
      assert.deepEqual([path[0], path.at(-1)], [layout.places.get(links[l]!.source), layout.places.get(links[l]!.target)]);
      for (const [i, point] of path.slice(1).entries()) assert.equal(point.row, path[i]!.row - 1);
    }
    const short = links.filter(({ source, target }) => layout.places.get(source)!.row - layout.places.get(target)!.row === 1);
    // Where no link passes a row, the kept order can only be better than the one that came.
    if (short.length === links.length) assert.ok(crossings(layout.rows, links) <= crossings(rows, links));
  }
});

test('two rows without long links: never more crossings than the order that came', () => {
  let better = 0;
  for (let seed = 0; seed < 40; seed++) {
    const rng = Rng.derive(seed, 'two rows');
    const rows = ['t', 's'].map((name) => Array.from({ length: 6 }, (_, i) => `${name}${i}`));
    const links = Array.from({ length: 9 }, () => link(rows[1]![rng.int(6)]!, rows[0]![rng.int(6)]!));
    const [before, after] = [crossings(rows, links), crossings(layeredLayout(rows, links, SIZES).rows, links)];
    assert.ok(after <= before);
    if (after < before) better++;
  }
  assert.ok(better > 30, `${better} of 40 became better`);
});
