/** The report's tables, for a terminal or for a page. */
import { bestPeer, meansOf, type FamilyMean, type Row } from './results';

/** The first line holds the headings. */
export type Cells = readonly (readonly string[])[];

const titles: Readonly<Record<string, string>> = {
  gemm: 'Matrix products, float32 (m×n×k)',
  gemm64: 'Matrix products, float64',
  conv: 'Convolution',
  rnn: 'Recurrent layers (sequence, batch, input, hidden)',
  attention: 'Attention (batch, heads, length, features)',
  memory: 'Memory-bound',
};

export function titleOf(family: string): string {
  return titles[family] ?? family;
}

function significant(value: number): string {
  if (!Number.isFinite(value)) return '';
  return value >= 100 ? value.toFixed(0) : value.toPrecision(value < 1 ? 2 : 3);
}

function ratioText(ratio: number): string {
  return Number.isFinite(ratio) ? ratio.toFixed(2) : '';
}

function percent(share: number): string {
  return Number.isFinite(share) ? `${(share * 100).toFixed(0)} %` : '';
}

function lineOf(row: Row, peers: readonly string[]): string[] {
  const best = bestPeer(row);
  return [
    row.name,
    significant(row.own.rate),
    percent(row.own.spread),
    percent(row.own.rate / row.limit),
    ...peers.map((name) => {
      const peer = row.peers.find((each) => each.name === name);
      return peer === undefined ? '' : `${significant(peer.rate)} (${ratioText(peer.ratio)})`;
    }),
    best === null ? '' : `${ratioText(best.ratio)} ${best.name}`,
    row.counts,
  ];
}

function meanLine(mean: FamilyMean, peers: readonly string[]): string[] {
  const ratios = peers.map((name) => (name in mean.peers ? `(${ratioText(mean.peers[name])})` : ''));
  return ['geometric mean', '', '', '', ...ratios, ratioText(mean.best), ''];
}

/** All cases of one family, and their mean. */
export function familyCells(rows: readonly Row[]): Cells {
  const peers = [...new Set(rows.flatMap((row) => row.peers.map(({ name }) => name)))];
  const headings = ['case', `Kindling ${rows[0].unit}`, 'spread', 'of limit', ...peers, 'best', 'counted'];
  return [headings, ...rows.map((row) => lineOf(row, peers)), ...meansOf(rows).map((mean) => meanLine(mean, peers))];
}

/** The first and the last column; the others hold numbers. */
function isWords(column: number, line: readonly string[]): boolean {
  return column === 0 || column === line.length - 1;
}

export function textOf(cells: Cells): string {
  const widths = cells[0].map((_, column) => Math.max(...cells.map((line) => line[column].length)));
  return cells
    .map((line) =>
      line
        .map((cell, column) => (isWords(column, line) ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function markdownOf([headings, ...lines]: Cells): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    line(headings),
    line(headings.map((_, i) => (isWords(i, headings) ? '---' : '---:'))),
    ...lines.map(line),
  ].join('\n');
}
