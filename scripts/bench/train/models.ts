/** The models of the training benchmark; peer.py has the same ones in PyTorch, under the same names. */
import { crossEntropy, mean, nn, optim, tensor, type AnyTensor, type Tensor } from '../../../lib';

/** A model and how it is trained. */
export interface Subject {
  readonly make: () => nn.Module;
  readonly batchSize: number;
  readonly loss: (output: AnyTensor, target: AnyTensor) => Tensor;
  readonly optimizer: (parameters: Tensor[]) => optim.Optimizer;
  /** Data where PyTorch has not made any. */
  readonly data: () => { x: AnyTensor; y: AnyTensor };
}

const integers = (n: number, below: number, more: readonly number[] = []): AnyTensor => {
  const size = more.reduce((product, extent) => product * extent, n);
  return tensor(
    Int32Array.from({ length: size }, (_, i) => (Math.imul(i + 1, 2654435761) >>> 8) % below),
    {
      shape: [n, ...more],
    },
  );
};

const floats = (n: number, more: readonly number[]): Tensor => {
  const size = more.reduce((product, extent) => product * extent, n);
  return tensor(
    Float32Array.from({ length: size }, (_, i) => ((Math.imul(i + 1, 2654435761) >>> 8) % 1000) / 1000),
    {
      shape: [n, ...more],
    },
  );
};

const relu = nn.functional.relu;

class Block extends nn.Module {
  readonly conv1: nn.Conv2d;
  readonly bn1: nn.BatchNorm2d;
  readonly conv2: nn.Conv2d;
  readonly bn2: nn.BatchNorm2d;
  readonly downsample: nn.Sequential | null;

  constructor(inputs: number, outputs: number, stride: number) {
    super();
    this.conv1 = nn.conv2d(inputs, outputs, 3, { stride, padding: 1, bias: false });
    this.bn1 = nn.batchNorm2d(outputs);
    this.conv2 = nn.conv2d(outputs, outputs, 3, { padding: 1, bias: false });
    this.bn2 = nn.batchNorm2d(outputs);
    const changes = stride !== 1 || inputs !== outputs;
    this.downsample = changes
      ? nn.sequential(nn.conv2d(inputs, outputs, 1, { stride, bias: false }), nn.batchNorm2d(outputs))
      : null;
  }

  override forward(x: Tensor): Tensor {
    const y = this.bn2.forward(this.conv2.forward(relu(this.bn1.forward(this.conv1.forward(x)))));
    return relu(y.add(this.downsample === null ? x : this.downsample.forward(x)) as Tensor);
  }
}

class ResNet18 extends nn.Module {
  readonly conv1 = nn.conv2d(3, 64, 3, { padding: 1, bias: false });
  readonly bn1 = nn.batchNorm2d(64);
  readonly blocks = nn.sequential(
    ...[
      [64, 64, 1],
      [64, 128, 2],
      [128, 256, 2],
      [256, 512, 2],
    ].flatMap(([inputs, outputs, stride]) => [new Block(inputs, outputs, stride), new Block(outputs, outputs, 1)]),
  );
  readonly fc = nn.linear(512, 10);

  override forward(x: Tensor): Tensor {
    const y = this.blocks.forward(relu(this.bn1.forward(this.conv1.forward(x))));
    return this.fc.forward(mean(y, [2, 3]));
  }
}

class Sentiment extends nn.Module {
  readonly embedding = nn.embedding(20000, 100);
  readonly lstm = nn.lstm(100, 128, { batchFirst: true });
  readonly output = nn.linear(128, 1);

  override forward(x: AnyTensor): Tensor {
    const { state } = this.lstm.run(this.embedding.forward(x));
    return this.output.forward(state.h.slice(0)).squeeze(1);
  }
}

class Layer extends nn.Module {
  readonly norm1: nn.LayerNorm;
  readonly norm2: nn.LayerNorm;
  readonly qkv: nn.Linear;
  readonly out: nn.Linear;
  readonly up: nn.Linear;
  readonly down: nn.Linear;

  constructor(
    d: number,
    private readonly heads: number,
  ) {
    super();
    this.norm1 = nn.layerNorm(d);
    this.norm2 = nn.layerNorm(d);
    this.qkv = nn.linear(d, 3 * d);
    this.out = nn.linear(d, d);
    this.up = nn.linear(d, 4 * d);
    this.down = nn.linear(4 * d, d);
  }

  override forward(x: Tensor): Tensor {
    const [n, t, d] = x.shape;
    const all = this.qkv.forward(this.norm1.forward(x)).reshape([n, t, 3, this.heads, d / this.heads]);
    const [q, k, v] = [0, 1, 2].map((i) => all.slice(null, null, i).permute([0, 2, 1, 3]));
    const seen = nn.functional.scaledDotProductAttention(q, k, v, { causal: true });
    const y = x.add(this.out.forward(seen.permute([0, 2, 1, 3]).reshape([n, t, d])));
    return y.add(this.down.forward(nn.functional.gelu(this.up.forward(this.norm2.forward(y)))));
  }
}

class GPT extends nn.Module {
  readonly tokens = nn.embedding(65, 256);
  readonly positions = nn.embedding(128, 256);
  readonly layers = Array.from({ length: 4 }, () => new Layer(256, 4));
  readonly norm = nn.layerNorm(256);
  readonly head = nn.linear(256, 65, { bias: false });

  override forward(x: AnyTensor): Tensor {
    const start = this.tokens.forward(x).add(this.positions.weight);
    const y = this.layers.reduce((h, layer) => layer.forward(h), start);
    return this.head.forward(this.norm.forward(y)).flatten(0, 1);
  }
}

const classes: Subject['loss'] = (output, target) => crossEntropy(output, target.flatten());
const adam: Subject['optimizer'] = (parameters) => new optim.Adam(parameters);

export const subjects: Readonly<Record<string, Subject>> = {
  mlp: {
    make: () => nn.sequential(nn.linear(784, 128), nn.relu(), nn.linear(128, 10)),
    batchSize: 32,
    loss: classes,
    optimizer: adam,
    data: () => ({ x: floats(8192, [784]), y: integers(8192, 10) }),
  },
  lenet: {
    make: () =>
      nn.sequential(
        nn.conv2d(1, 32, 3, { padding: 1 }),
        nn.relu(),
        nn.maxPool2d(2),
        nn.conv2d(32, 64, 3, { padding: 1 }),
        nn.relu(),
        nn.maxPool2d(2),
        nn.flatten(),
        nn.linear(3136, 128),
        nn.relu(),
        nn.linear(128, 10),
      ),
    batchSize: 64,
    loss: classes,
    optimizer: adam,
    data: () => ({ x: floats(2048, [1, 28, 28]), y: integers(2048, 10) }),
  },
  lstm: {
    make: () => new Sentiment(),
    batchSize: 64,
    loss: (output, target) => nn.functional.binaryCrossEntropyWithLogits(output, target.cast('float32')),
    optimizer: adam,
    data: () => ({ x: integers(1024, 20000, [200]), y: integers(1024, 2) }),
  },
  gpt: {
    make: () => new GPT(),
    batchSize: 16,
    loss: classes,
    optimizer: (parameters) => new optim.AdamW(parameters, { lr: 1e-3, weightDecay: 0.01 }),
    data: () => ({ x: integers(256, 65, [128]), y: integers(256, 65, [128]) }),
  },
  resnet18: {
    make: () => new ResNet18(),
    batchSize: 64,
    loss: classes,
    optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.001, momentum: 0.9 }),
    data: () => ({ x: floats(512, [3, 32, 32]), y: integers(512, 10) }),
  },
};
