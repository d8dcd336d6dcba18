import type { Module } from '../nn/module';

function describeLayer(layer: Module): string {
  const sizes = ['inFeatures', 'outFeatures'].flatMap((key) => {
    const value = (layer as unknown as Record<string, unknown>)[key];
    return typeof value === 'number' ? [String(value)] : [];
  });
  return `${layer.constructor.name}(${sizes.join(', ')})`;
}

function countParameters(layer: Module): number {
  return layer.parameters().reduce((total, parameter) => total + parameter.size, 0);
}

/** A table of a model's layers and their parameter counts. */
export function summarize(model: Module): string {
  const children = [...model.namedChildren()];
  const layers: [string, Module][] = children.length > 0 ? children : [['', model]];
  const rows = layers.map(([name, layer]) => [name, describeLayer(layer), countParameters(layer).toLocaleString('en')]);
  const header = ['Name', 'Layer', 'Parameters'];
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (i === 2 ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
      .join('  ')
      .trimEnd();
  const rule = '─'.repeat(widths.reduce((total, width) => total + width, 4));
  const total = countParameters(model);
  return [
    model.constructor.name,
    line(header),
    rule,
    ...rows.map(line),
    rule,
    `Parameters: ${total.toLocaleString('en')} (${(total * 4).toLocaleString('en')} bytes)`,
  ].join('\n');
}
