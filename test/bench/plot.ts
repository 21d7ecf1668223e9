/** Curves as an SVG that reads on a light and on a dark page, in the file and within an `<img>`. */
import type { Plot } from './line.js';
import { short } from './statistics.js';

const WIDTH = 720;
const HEIGHT = 400;
const LEFT = 72;
const RIGHT = 20;
const TOP = 44;
const BOTTOM = 56;
const LEGEND_LINE = 20;
/** Apart from each other for colour-blind eyes, and with contrast on white and on near-black alike. */
const COLOURS = ['#0a84d0', '#d9630d', '#1a9a6c', '#b556b5', '#8a7a12', '#c43d4f', '#5b6ee0', '#6f7a86'];
/** A browser gives an image its own colour scheme. */
const STYLE =
  'text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-size:15px;font-weight:600}.grid{stroke:#8886;stroke-width:1}' +
  '@media(prefers-color-scheme:dark){text{fill:#e6edf3}}';

type Point = readonly [number, number];
interface Scale {
  readonly ticks: readonly number[];
  /** From a value to its place. */
  at(value: number): number;
}

export function svgOf(plot: Plot): string {
  const { title, x, y, logX = false, curves } = plot;
  const points = curves.flatMap((curve) => curve.points);
  const floor = HEIGHT - BOTTOM;
  const across = logX
    ? logScale(points.map(([value]) => value))
    : linearScale(
        points.map(([value]) => value),
        false,
      );
  const up = linearScale(
    points.map(([, value]) => value),
    true,
  );
  const place = ([px, py]: Point): Point => [
    LEFT + across.at(px) * (WIDTH - LEFT - RIGHT),
    floor - up.at(py) * (floor - TOP),
  ];
  const legend = HEIGHT + curves.length * LEGEND_LINE;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${legend}" role="img" aria-label="${escaped(title)}">`,
    `<style>${STYLE}</style>`,
    text(LEFT, 24, title, 'class="title"'),
    ...up.ticks.map((tick) => gridLine(tick, floor - up.at(tick) * (floor - TOP))),
    ...across.ticks.map((tick) => text(place([tick, 0])[0], floor + 20, short(tick), 'text-anchor="middle"')),
    text((LEFT + WIDTH - RIGHT) / 2, floor + 42, x, 'text-anchor="middle"'),
    text(LEFT - 60, TOP - 6, y),
    ...curves.map((curve, index) => drawn(curve.points.map(place), colour(index))),
    ...curves.map((curve, index) => legendLine(curve.name, colour(index), HEIGHT + index * LEGEND_LINE)),
    '</svg>\n',
  ].join('\n');
}

function colour(index: number): string {
  return COLOURS[index % COLOURS.length]!;
}

function drawn(places: readonly Point[], stroke: string): string {
  const path = places.map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join(' ');
  const dots = places.map(
    ([px, py]) => `<circle cx="${px.toFixed(1)}" cy="${py.toFixed(1)}" r="3.5" fill="${stroke}"/>`,
  );
  return `<polyline points="${path}" fill="none" stroke="${stroke}" stroke-width="2.5"/>${dots.join('')}`;
}

function gridLine(tick: number, y: number): string {
  const line = `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y.toFixed(1)}" y2="${y.toFixed(1)}"/>`;
  return line + text(LEFT - 8, y + 4, short(tick), 'text-anchor="end"');
}

function legendLine(name: string, stroke: string, y: number): string {
  return `<rect x="${LEFT}" y="${y - 10}" width="18" height="6" fill="${stroke}"/>${text(LEFT + 26, y - 3, name)}`;
}

function text(x: number, y: number, what: string, more = ''): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}"${more && ` ${more}`}>${escaped(what)}</text>`;
}

function escaped(what: string): string {
  return what.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** A tick per power of ten. Of zero there is no logarithm: it has the place of one. */
function logScale(values: readonly number[]): Scale {
  const logs = values.map((value) => Math.log10(Math.max(1, value)));
  const [from, to] = [Math.floor(Math.min(...logs)), Math.max(Math.floor(Math.min(...logs)) + 1, Math.max(...logs))];
  const ticks = Array.from({ length: Math.floor(to) - from + 1 }, (_, step) => 10 ** (from + step));
  return { ticks, at: (value) => (Math.log10(Math.max(1, value)) - from) / (to - from) };
}

/** Round ticks. A cost is drawn from zero: cut off, small differences look great. */
function linearScale(values: readonly number[], fromZero: boolean): Scale {
  const low = fromZero ? 0 : Math.min(...values);
  const high = Math.max(...values, low + Number.EPSILON);
  const rough = (high - low) / 5;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * size).find((each) => each >= rough)!;
  const from = Math.floor(low / step) * step;
  const steps = Math.ceil((high - from) / step - 1e-9);
  const ticks = Array.from({ length: steps + 1 }, (_, index) => from + index * step);
  return { ticks, at: (value) => (value - from) / (steps * step) };
}
