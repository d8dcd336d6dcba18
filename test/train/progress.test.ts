import { ProgressReporter, type Verbosity } from '../../lib/train/progress';

/** Runs two epochs of four steps, each taking `stepMs`, and gives what was written. */
function record(verbose: Verbosity, isTTY: boolean, stepMs = 100, columns = 200): string[] {
  const written: string[] = [];
  let time = 0;
  const reporter = new ProgressReporter({
    epochs: 2,
    verbose,
    now: () => time,
    output: { write: (text) => written.push(text), isTTY, columns },
  });
  for (let epoch = 0; epoch < 2; epoch++) {
    reporter.epochBegin(epoch, 4);
    for (let step = 1; step <= 4; step++) {
      time += stepMs;
      reporter.step(step, () => ({ loss: 1 / step }));
    }
    reporter.epochEnd({ loss: 0.25, accuracy: 0.5 });
  }
  return written;
}

test('a terminal gets a bar redrawn in place', () => {
  const written = record('auto', true);
  expect(written[0]).toBe('Epoch 1/2\n');
  expect(written[1]).toBe('\r\u001b[K1/4 [=======>......................] ETA: 0.3s - loss: 1.0000');
  expect(written.join('')).toContain(
    '\r\u001b[K4/4 [==============================] 0.4s 100ms/step - loss: 0.2500 - accuracy: 0.5000\n',
  );
});

test('elsewhere an epoch is one plain line', () => {
  expect(record('auto', false)).toEqual([
    'Epoch 1/2 - 0.4s - loss: 0.2500 - accuracy: 0.5000\n',
    'Epoch 2/2 - 0.4s - loss: 0.2500 - accuracy: 0.5000\n',
  ]);
});

test('where nobody knows how many steps there are, they are counted', () => {
  const written: string[] = [];
  let time = 0;
  const output = { write: (text: string) => written.push(text), isTTY: true };
  const reporter = new ProgressReporter({ epochs: 1, verbose: 1, now: () => time, output });
  reporter.epochBegin(0, undefined);
  for (let step = 1; step <= 3; step++) {
    time += 100;
    reporter.step(step, () => ({ loss: 1 / step }));
  }
  reporter.epochEnd({ loss: 0.25 });
  expect(written).toEqual([
    'Epoch 1/1\n',
    '\r\u001b[K1/? 0.1s 100ms/step - loss: 1.0000',
    '\r\u001b[K2/? 0.2s 100ms/step - loss: 0.5000',
    '\r\u001b[K3/? 0.3s 100ms/step - loss: 0.3333',
    '\r\u001b[K3/3 [==============================] 0.3s 100ms/step - loss: 0.2500',
    '\n',
  ]);
});

test('verbose overrides the terminal', () => {
  expect(record(0, true)).toEqual([]);
  expect(record(2, true)).toHaveLength(2);
  expect(record(1, false).length).toBeGreaterThan(2);
});

test('fast steps are drawn at most 20 times a second', () => {
  // Per epoch: the title, the first step, the end and its line break.
  expect(record(1, true, 1)).toHaveLength(2 * 4);
});

test('no line is wider than the terminal', () => {
  for (const text of record(1, true, 100, 40)) {
    expect(text.replace('\r\u001b[K', '').length).toBeLessThanOrEqual(40);
  }
});
