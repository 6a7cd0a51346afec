// Draws lines over two logarithmic axes as SVG.
export interface Plot {
  title: string;
  x: Axis;
  y: Axis;
  /** A horizontal line. */
  goal: number;
  series: Series[];
}

interface Axis {
  name: string;
  least: number;
  most: number;
}

interface Series {
  name: string;
  /** Infinite values are drawn at the upper end. */
  points: [x: number, y: number][];
  isOurs?: boolean;
}

const WIDTH = 960;
const HEIGHT = 480;
const FRAME = { left: 70, right: 720, top: 50, bottom: 425 };
const LABEL_HEIGHT = 19;
/** Distinguishable with colour blindness, on white and on black. */
const COLOURS = ['#d9502e', '#3a86c8', '#2f9e6b', '#a86cc1', '#c98a14', '#58a6a6', '#cf6a9a', '#7d8590', '#9a7b4f'];

/** For light and dark pages. */
export function asSvg({ title, x, y, goal, series }: Plot): string {
  const place = placing(x, y);
  const drawn = series.filter(({ points }) => points.length > 0);
  const labels = labelsOf(drawn, place);
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, 'Segoe UI', sans-serif" font-size="13" role="img" aria-label="${escaped(title)}">`,
    '  <style>',
    '    .paper { fill: #fff } .ink { fill: #24292f } .soft { fill: #6a737d } .grid { stroke: #d8dee4 } .goal { stroke: #8b949e; stroke-dasharray: 5 4 }',
    '    @media (prefers-color-scheme: dark) { .paper { fill: #0d1117 } .ink { fill: #e6edf3 } .soft { fill: #9198a1 } .grid { stroke: #30363d } }',
    '  </style>',
    `  <rect class="paper" width="${WIDTH}" height="${HEIGHT}" rx="8"/>`,
    text({ at: [FRAME.left, 28], class: 'ink', more: 'font-size="15" font-weight="600"' }, title),
    ...gridOf(x, (value) => line([place([value, y.least]), place([value, y.most])], 'grid')),
    ...gridOf(y, (value) => line([place([x.least, value]), place([x.most, value])], 'grid')),
    ...gridOf(x, (value) =>
      text({ at: [place([value, y.least])[0], FRAME.bottom + 20], class: 'soft', more: 'text-anchor="middle"' }, short(value)),
    ),
    ...gridOf(y, (value) =>
      text({ at: [FRAME.left - 8, place([x.least, value])[1] + 4], class: 'soft', more: 'text-anchor="end"' }, short(value)),
    ),
    text({ at: [(FRAME.left + FRAME.right) / 2, HEIGHT - 14], class: 'soft', more: 'text-anchor="middle"' }, x.name),
    text(
      { at: [0, 0], class: 'soft', more: `text-anchor="middle" transform="translate(18 ${(FRAME.top + FRAME.bottom) / 2}) rotate(-90)"` },
      y.name,
    ),
    line([place([x.least, goal]), place([x.most, goal])], 'goal'),
    ...drawn.map((one, index) => curve(one, { colour: colourOf(index), place, label: labels[index] as number })),
    '</svg>',
  ].join('\n')}\n`;
}

type Place = (point: [number, number]) => [number, number];

/** Values beyond an axis are drawn at its end. */
function placing(x: Axis, y: Axis): Place {
  const along = (value: number, { least, most }: Axis) => Math.log(Math.min(Math.max(value, least), most) / least) / Math.log(most / least);
  return ([atX, atY]) => [
    round(FRAME.left + along(atX, x) * (FRAME.right - FRAME.left)),
    round(FRAME.bottom - along(atY, y) * (FRAME.bottom - FRAME.top)),
  ];
}

/** At 1, 2 and 5 of every power of ten. */
function gridOf({ least, most }: Axis, draw: (value: number) => string): string[] {
  const powers = Array.from({ length: 12 }, (_, exponent) => 10 ** (exponent - 2));
  return powers
    .flatMap((power) => [power, 2 * power, 5 * power])
    .filter((value) => value >= least && value <= most)
    .map((value) => `  ${draw(value)}`);
}

function curve(
  { name, points, isOurs = false }: Series,
  { colour, place, label }: { colour: string; place: Place; label: number },
): string {
  const places = points.map(place);
  const [endX, endY] = places.at(-1) as [number, number];
  return [
    `  <g stroke="${colour}" fill="${colour}">`,
    `    <polyline fill="none" stroke-width="${isOurs ? 3.5 : 1.8}" points="${places.map((at) => at.join(',')).join(' ')}"/>`,
    `    ${places.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="${isOurs ? 4 : 2.8}" stroke="none"/>`).join('')}`,
    `    <path fill="none" stroke-width="0.7" d="M${endX} ${endY} L${FRAME.right + 14} ${label}"/>`,
    `    <text x="${FRAME.right + 18}" y="${label + 4}" stroke="none"${isOurs ? ' font-weight="700"' : ''}>${escaped(name)}</text>`,
    '  </g>',
  ].join('\n');
}

/** Heights of the names beside the ends of their lines, without overlaps. */
function labelsOf(series: Series[], place: Place): number[] {
  const heights = series.map(({ points }) => place(points.at(-1) as [number, number])[1]);
  const order = heights.map((_, index) => index).sort((a, b) => (heights[a] as number) - (heights[b] as number));
  let least = FRAME.top;
  for (const [rank, index] of order.entries()) {
    const below = (order.length - 1 - rank) * LABEL_HEIGHT;
    heights[index] = Math.max(Math.min(heights[index] as number, FRAME.bottom - below), least);
    least = heights[index] + LABEL_HEIGHT;
  }
  return heights.map(round);
}

const colourOf = (index: number): string => COLOURS[index % COLOURS.length] as string;
const round = (value: number): number => Math.round(value * 10) / 10;
const line = ([[x1, y1], [x2, y2]]: [[number, number], [number, number]], kind: string): string =>
  `<line class="${kind}" x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}"/>`;
const text = ({ at: [x, y], class: kind, more }: { at: [number, number]; class: string; more: string }, what: string): string =>
  `<text class="${kind}" x="${x}" y="${y}" ${more}>${escaped(what)}</text>`;
const escaped = (what: string): string => what.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
const short = (value: number): string =>
  value >= 1e6 ? `${value / 1e6}M` : value >= 1e3 ? `${value / 1e3}k` : String(Number(value.toPrecision(2)));
