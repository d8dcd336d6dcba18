/** Linear layers, embeddings, normalizations, attention and the transformer's layers. */
import { nn, type AnyTensor, type Tensor } from '../../../lib';
import { dense, spread } from '../../ops/reference';
import type { LayerRows } from './row';

const image = [spread([2, 4, 3, 3])];
const tokens = [spread([3, 2, 4])];
const index = [dense([2, 3], [1, 0, 4, 2, 1, 3], 'int32')];

export const rows: LayerRows = {
  Linear: { torch: 'nn.Linear(5, 3)', make: () => nn.linear(5, 3), inputs: [spread([4, 5])] },
  'Linear/no bias': {
    torch: 'nn.Linear(5, 3, bias=False)',
    make: () => nn.linear(5, 3, { bias: false }),
    inputs: [spread([2, 2, 5])],
  },
  Bilinear: {
    torch: 'nn.Bilinear(3, 2, 4)',
    make: () => nn.bilinear(3, 2, 4),
    inputs: [spread([5, 3]), spread([5, 2], -1, 1)],
  },
  Sequential: {
    torch: 'nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2), nn.LogSoftmax(-1))',
    make: () => nn.sequential(nn.linear(4, 6), nn.relu(), nn.linear(6, 2), new nn.LogSoftmax()),
    inputs: [spread([5, 4])],
  },
  PReLU: { torch: 'nn.PReLU(4)', make: () => nn.prelu(4), inputs: image },
  Embedding: { torch: 'nn.Embedding(5, 3)', make: () => nn.embedding(5, 3), inputs: index, torchCall: 'm(x0.long())' },
  'Embedding/padding': {
    torch: 'nn.Embedding(5, 3, padding_idx=1)',
    make: () => nn.embedding(5, 3, { paddingIndex: 1 }),
    inputs: index,
    torchCall: 'm(x0.long())',
  },
  BatchNorm1d: { torch: 'nn.BatchNorm1d(3)', make: () => nn.batchNorm1d(3), inputs: [spread([5, 3])] },
  'BatchNorm1d/length': { torch: 'nn.BatchNorm1d(3)', make: () => nn.batchNorm1d(3), inputs: [spread([2, 3, 4])] },
  BatchNorm2d: {
    torch: 'nn.BatchNorm2d(4, eps=1e-3, momentum=0.3)',
    make: () => nn.batchNorm2d(4, { eps: 1e-3, momentum: 0.3 }),
    inputs: image,
  },
  'BatchNorm2d/evaluation': {
    torch: 'nn.BatchNorm2d(4).eval()',
    make: () => nn.batchNorm2d(4).eval(),
    inputs: image,
  },
  LayerNorm: { torch: 'nn.LayerNorm([3, 3])', make: () => nn.layerNorm([3, 3]), inputs: image },
  GroupNorm: { torch: 'nn.GroupNorm(2, 4)', make: () => nn.groupNorm(2, 4), inputs: image },
  InstanceNorm2d: {
    torch: 'nn.InstanceNorm2d(4, affine=True)',
    make: () => new nn.InstanceNorm2d(4, { affine: true }),
    inputs: image,
  },
  MultiheadAttention: {
    torch: 'nn.MultiheadAttention(4, 2)',
    make: () => nn.multiheadAttention(4, 2),
    inputs: tokens,
    torchCall: 'm(x0, x0, x0)[0]',
  },
  'MultiheadAttention/masks': {
    torch: 'nn.MultiheadAttention(4, 2, batch_first=True)',
    make: () => nn.multiheadAttention(4, 2, { batchFirst: true }),
    inputs: [
      spread([2, 3, 4]),
      spread([2, 5, 4], -1, 1),
      dense([2, 5], [0, 0, 0, 0, 1, 0, 0, 1, 1, 1], 'bool'),
      spread([3, 5], -1, 1),
    ],
    call: (m: nn.MultiheadAttention, q: AnyTensor, k: AnyTensor, padding: AnyTensor, mask: AnyTensor) =>
      m.attend(q, k, k, { keyPaddingMask: padding as Tensor<'bool'>, attentionMask: mask }).output,
    torchCall: 'm(x0, x1, x1, key_padding_mask=x2, attn_mask=x3)[0]',
  },
  TransformerEncoderLayer: {
    torch: 'nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0)',
    make: () => new nn.TransformerEncoderLayer(4, 2, { feedforward: 6, dropout: 0 }),
    inputs: tokens,
  },
  'TransformerEncoderLayer/first': {
    torch: 'nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, activation="gelu", norm_first=True, batch_first=True)',
    make: () =>
      new nn.TransformerEncoderLayer(4, 2, {
        feedforward: 6,
        dropout: 0,
        activation: 'gelu',
        normFirst: true,
        batchFirst: true,
      }),
    inputs: tokens,
    call: (m: nn.TransformerEncoderLayer, x: AnyTensor) => m.encode(x, { causal: true }),
    torchCall: 'm(x0, src_mask=torch.ones(2, 2, dtype=torch.bool).triu(1))',
  },
  TransformerDecoderLayer: {
    torch: 'nn.TransformerDecoderLayer(4, 2, 6, dropout=0.0)',
    make: () => new nn.TransformerDecoderLayer(4, 2, { feedforward: 6, dropout: 0 }),
    inputs: [spread([3, 2, 4]), spread([5, 2, 4], -1, 1)],
  },
  TransformerEncoder: {
    torch: 'nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0), 2, nn.LayerNorm(4))',
    make: () =>
      new nn.TransformerEncoder(
        [0, 1].map(() => new nn.TransformerEncoderLayer(4, 2, { feedforward: 6, dropout: 0 })),
        nn.layerNorm(4),
      ),
    inputs: tokens,
  },
};
