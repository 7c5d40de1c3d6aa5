import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { OutsideError, messageOf } from '../../domain/errors.ts';
import type { TrainReport, TrainReportData } from '../../ports/TrainReport.ts';
import { escape } from './escape.ts';
import { writeReportFile } from './reportFile.ts';
import { scatterPlot } from './scatterPlot.ts';

/** Points drawn of a curve; more are thinned evenly. */
const POINTS = 400;
const CURVES = [
  { key: 'fvu', label: 'FVU: fraction of variance unexplained', log: true },
  { key: 'l0', label: 'L0: active features per vector', log: true },
  { key: 'loss', label: 'Loss', log: true },
  { key: 'dead', label: 'Share of dead features', log: false },
  { key: 'vectorsPerSecond', label: 'Vectors per second', log: false },
] as const;
type Curve = (typeof CURVES)[number]['key'];
type Point = Readonly<Record<Curve | 'vectors', number>>;

/** The TrainReport port: uPlot's script and style are copied into the file, so that it opens anywhere, offline. */
export function htmlTrainReport(): TrainReport {
  return {
    async write(path, data) {
      const [points, script, style] = await Promise.all([readPoints(data), library('uPlot.iife.min.js'), library('uPlot.min.css')]);
      await writeReportFile(path, page(data, points, script, style));
    },
  };
}

async function library(file: string): Promise<string> {
  const folder = createRequire(import.meta.url).resolve('uplot/package.json').replace(/package\.json$/, '');
  return await readFile(`${folder}dist/${file}`, 'utf8').catch((cause: unknown) => {
    throw new OutsideError('disk', `cannot read uPlot's ${file}: ${messageOf(cause)}`, { cause });
  });
}

/** Curves by dictionary. Memory: POINTS × 2 a dictionary, whatever the length of the run. */
async function readPoints({ metricsPath }: TrainReportData): Promise<ReadonlyMap<string, Point[]>> {
  const curves = new Map<string, { points: Point[]; every: number; seen: number }>();
  const lines = createInterface({ input: createReadStream(metricsPath), crlfDelay: Infinity });
  for await (const line of lines) {
    let metric: Point & { readonly name: string };
    try {
      metric = JSON.parse(line) as typeof metric;
    } catch {
      continue; // a torn last line, while training
    }
    const curve = curves.get(metric.name) ?? { points: [], every: 1, seen: 0 };
    curves.set(metric.name, curve);
    if (curve.seen++ % curve.every === 0) curve.points.push(metric);
    if (curve.points.length > 2 * POINTS) {
      curve.points = curve.points.filter((_, i) => i % 2 === 0);
      curve.every *= 2;
    }
  }
  return new Map(Array.from(curves, ([name, { points }]) => [name, points]));
}

function page(data: TrainReportData, points: ReadonlyMap<string, Point[]>, script: string, style: string): string {
  const names = data.dictionaries.map(({ name }) => name);
  const colour = (i: number): string => `hsl(${Math.round(i * 137.5) % 360} 65% 45%)`;
  const axis = [...new Set(names.flatMap((name) => (points.get(name) ?? []).map(({ vectors }) => vectors)))].sort((a, b) => a - b);
  const place = new Map(axis.map((vectors, i) => [vectors, i]));
  const plots = CURVES.map(({ key, label, log }) => ({
    label,
    log,
    data: names.map((name) => {
      const column: (number | null)[] = axis.map(() => null);
      for (const point of points.get(name) ?? []) column[place.get(point.vectors)!] = log && !(point[key] > 0) ? null : Number(point[key].toPrecision(6));
      return column;
    }),
  }));
  const embedded = JSON.stringify({ axis, plots, series: names.map((label, i) => ({ label, stroke: colour(i) })) }).replaceAll('<', '\\u003c');
  const measured = data.dictionaries.flatMap(({ name, quality }, i) => (quality === null ? [] : [{ label: name, x: quality.l0, y: quality.fvu, colour: colour(i) }]));
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escape(data.title)}</title>
<style>${style}
body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .8rem .2rem 0;text-align:left;border-bottom:1px solid #ddd}td.n{text-align:right;font-variant-numeric:tabular-nums}
h2{font-size:1.05rem;margin:2rem 0 .5rem}.dot{display:inline-block;width:.7em;height:.7em;border-radius:50%;margin-right:.4em}.bad{color:#b00}</style></head><body>
<h1>${escape(data.title)}</h1>
<table>${data.facts.map(([label, value]) => `<tr><th>${escape(label)}</th><td>${escape(value)}</td></tr>`).join('')}</table>
<h2>Dictionaries, measured on held-out vectors</h2>
<table><tr><th>name</th><th>architecture</th><th>features</th><th>settings</th><th>FVU</th><th>L0</th><th>alive</th></tr>
${data.dictionaries.map((dictionary, i) => row(dictionary, colour(i))).join('\n')}</table>
${measured.length > 1 ? `<h2>FVU against L0 (lower left is better)</h2>${scatterPlot(measured, { x: 'L0', y: 'FVU' })}` : ''}
<div id="plots"></div>
<script>${script}</script>
<script>
const { axis, plots, series } = ${embedded};
for (const { label, log, data } of plots) {
  const title = document.createElement('h2');
  title.textContent = label;
  const place = document.createElement('div');
  document.getElementById('plots').append(title, place);
  const width = Math.min(960, document.body.clientWidth);
  new uPlot({ width, height: 280, scales: { x: { time: false }, y: log ? { distr: 3 } : {} }, legend: { show: series.length <= 12 },
    series: [{ label: 'vectors' }, ...series.map((s) => ({ ...s, width: 1.5, spanGaps: true, points: { show: false } }))] }, [axis, ...data], place);
}
</script></body></html>
`;
}

function row({ name, architecture, nFeatures, settings, quality, failure }: TrainReportData['dictionaries'][number], colour: string): string {
  const cells = quality === null ? `<td colspan="3"${failure === null ? '' : ' class="bad"'}>${escape(failure ?? 'not measured yet')}</td>` : `<td class="n">${quality.fvu.toFixed(4)}</td><td class="n">${quality.l0.toFixed(1)}</td><td class="n">${(100 * quality.aliveShare).toFixed(1)} %</td>`;
  return `<tr><td><span class="dot" style="background:${colour}"></span>${escape(name)}</td><td>${escape(architecture)}</td><td class="n">${nFeatures}</td><td>${escape(settings)}</td>${cells}</tr>`;
}
