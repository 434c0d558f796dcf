// The Transformer of nn/transformer.py: the encoder, and one step of the decoder.
#pragma once

#include <vector>

#include "int8.h"
#include "readout.h"

namespace seq2seq {

// What holds for all layers of one side.
struct TransformerPlan {
  int64_t layers, heads, width;
  bool norm_first;
  Activation activation;
  float embedding_scale;
  int64_t zero_token;  // whose embedding is a zero vector; -1 if there is none

  TransformerPlan(const int64_t* plan, int64_t width)
      : layers(plan[0]), heads(plan[1]), width(width), norm_first(plan[2] != 0),
        activation(static_cast<Activation>(plan[3])),
        embedding_scale(plan[4] ? std::sqrt(static_cast<float>(width)) : 1.0f),
        zero_token(plan[5]) {}

  int64_t head_width() const { return width / heads; }
  // The place of a decoder's output layer among its weights.
  int64_t last() const { return 2 + 7 * layers + (norm_first ? 1 : 0); }
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(head_width())); }
};

// Gains and biases of layer norms, (norms, 2, width).
struct Norms {
  const float* weights;
  int64_t width;

  void apply(float* out, const float* x, int64_t which, int64_t rows) const {
    const float* gain = weights + 2 * which * width;
    for (int64_t n = 0; n < rows; n++) {
      normalise(out + n * width, x + n * width, gain, gain + width, width);
    }
  }
};

inline void embed(float* x, const Matrix& table, int64_t token, const float* position,
                  const TransformerPlan& plan) {
  const int64_t width = plan.width;
  if (token == plan.zero_token) {
    std::copy(position, position + width, x);
    return;
  }
  table.row(x, token);
  for (int64_t i = 0; i < width; i++) x[i] = x[i] * plan.embedding_scale + position[i];
}

// Rows of the residual stream, and what a block needs beside them.
class Stream {
 public:
  Stream(const TransformerPlan& plan, int64_t rows, int64_t inner)
      : x(rows * plan.width), context(rows * plan.width), plan_(plan), rows_(rows),
        before_(rows * plan.width), inner_(rows * inner) {}

  Floats x, context;

  // What a block reads: the rows, or their norm.
  const float* before(const Norms& norms, int64_t which) {
    if (!plan_.norm_first) return x.data();
    norms.apply(before_.data(), x.data(), which, rows_);
    return before_.data();
  }

  // The end of a block: `matrix` of its result is added to the rows.
  void add(const Matrix& matrix, const float* result, const Norms& norms, int64_t which) {
    multiply(x.data(), matrix, result, rows_, Then::kAdd);
    if (!plan_.norm_first) norms.apply(x.data(), x.data(), which, rows_);
  }

  void feed_forward(const Matrix& inner, const Matrix& outer, const Norms& norms, int64_t which) {
    const bool relu = plan_.activation == kRelu;
    multiply(inner_.data(), inner, before(norms, which), rows_, relu ? Then::kRelu : Then::kStore);
    if (!relu) activate(inner_.data(), plan_.activation, rows_ * inner.out);
    add(outer, inner_.data(), norms, which);
  }

 private:
  const TransformerPlan& plan_;
  int64_t rows_;
  Floats before_, inner_;
};

// The encoder's states (pieces, width) of sentences that lie one after another, without padding;
// sentence s has the pieces starts[s] to starts[s + 1].
//
// `weights`: table, positions, then per layer the projections in and out of the attention, the two
// matrices of the feed-forward block and the norms, at last the final norm if norms come first.
inline void encode_transformer(float* states, const int64_t* pieces,
                               const int64_t* starts, int64_t sentences,
                               const TransformerPlan& plan, const void* const* weights) {
  const int64_t rows = starts[sentences], width = plan.width, part = plan.head_width();
  const Matrix table(weights[0]);
  const float* positions = static_cast<const float*>(weights[1]);
  Stream stream(plan, rows, Matrix(weights[4]).out);
  for (int64_t s = 0; s < sentences; s++) {
    for (int64_t n = starts[s]; n < starts[s + 1]; n++) {
      embed(&stream.x[n * width], table, pieces[n], positions + (n - starts[s]) * width, plan);
    }
  }
  Floats parts(rows * 3 * width);
  Columns keys;
  for (int64_t layer = 0; layer < plan.layers; layer++) {
    const void* const* w = weights + 2 + 5 * layer;
    const Norms norms{static_cast<const float*>(w[4]), width};
    multiply(parts.data(), Matrix(w[0]), stream.before(norms, 0), rows);
    for (int64_t s = 0; s < sentences; s++) {
      const float* sentence = &parts[starts[s] * 3 * width];
      for (int64_t head = 0; head < plan.heads; head++) {
        const float* own = sentence + head * part;
        keys.read(own + width, starts[s + 1] - starts[s], 3 * width, part);
        for (int64_t n = starts[s]; n < starts[s + 1]; n++) {
          keys.attend(&stream.context[n * width + head * part],
                      &parts[n * 3 * width + head * part], width, plan.scale());
        }
      }
    }
    stream.add(Matrix(w[1]), stream.context.data(), norms, 0);
    stream.feed_forward(Matrix(w[2]), Matrix(w[3]), norms, 1);
  }
  if (plan.norm_first) {
    const Norms last{static_cast<const float*>(weights[2 + 5 * plan.layers]), width};
    last.apply(states, stream.x.data(), 0, rows);
  } else {
    std::copy(stream.x.begin(), stream.x.end(), states);
  }
}

// Where a step finds what earlier steps and the encoder left.
struct TransformerPast {
  float* cache;  // (entries, layers, 2, width): keys and values of target pieces
  const std::int32_t* paths;  // (rows, length + 2): a row's sentence, the entries of its earlier pieces,
                              // and the one of its own
  int64_t length;
  const int64_t* starts;  // (sentences + 1,): of each sentence among all source pieces
  int64_t source;         // source pieces of the longest
  const float* pairs;     // (layers, pieces, 2 * width): keys and values of the source pieces
  int64_t pieces;         // of all sentences
};

// One step for all rows: the output, and attention (rows, layers, heads, source), which is expected
// to be zero. Keys and values of a row go to the entry of its own.
//
// `weights`: table, positions, then per layer the self-attention's projections in and out, the
// cross-attention's query and output, the two matrices of the feed-forward block and the norms, then
// the final norm if norms come first, and the output layer.
inline void step_transformer(const Output& output, float* attention, const int64_t* tokens, int64_t rows,
                             const TransformerPast& past, const TransformerPlan& plan,
                             const void* const* weights) {
  const int64_t width = plan.width, heads = plan.heads, part = plan.head_width();
  const int64_t entry = plan.layers * 2 * width, length = past.length, source = past.source;
  const Matrix table(weights[0]);
  const float* position = static_cast<const float*>(weights[1]) + length * width;
  Stream stream(plan, rows, Matrix(weights[6]).out);
  for (int64_t n = 0; n < rows; n++) embed(&stream.x[n * width], table, tokens[n], position, plan);
  Floats parts(rows * 3 * width);
  static thread_local Attention pieces;
  for (int64_t layer = 0; layer < plan.layers; layer++) {
    const void* const* w = weights + 2 + 7 * layer;
    const Norms norms{static_cast<const float*>(w[6]), width};
    // The target's pieces.
    multiply(parts.data(), Matrix(w[0]), stream.before(norms, 0), rows);
    for (int64_t n = 0; n < rows; n++) {
      const float* row = &parts[n * 3 * width];
      const std::int32_t* path = past.paths + n * (length + 2) + 1;
      float* const layers = past.cache + layer * 2 * width;
      std::copy(row + width, row + 3 * width, layers + path[length] * entry);
      pieces.clear();
      for (int64_t t = 0; t <= length; t++) pieces.add(layers + path[t] * entry);
      pieces.attend(&stream.context[n * width], row, 0, width, heads, part, plan.scale());
    }
    stream.add(Matrix(w[1]), stream.context.data(), norms, 0);
    // The source's.
    multiply(parts.data(), Matrix(w[2]), stream.before(norms, 1), rows);
    const float* pairs = past.pairs + layer * past.pieces * 2 * width;
    for (int64_t n = 0; n < rows; n++) {
      const int64_t sentence = past.paths[n * (length + 2)], begin = past.starts[sentence];
      const int64_t count = past.starts[sentence + 1] - begin;
      pieces.clear();
      for (int64_t s = 0; s < count; s++) pieces.add(pairs + (begin + s) * 2 * width);
      pieces.attend(&stream.context[n * width], &parts[n * width], 0, width, heads, part, plan.scale());
      float* seen = attention + (n * plan.layers + layer) * heads * source;
      for (int64_t head = 0; head < heads; head++) {
        std::copy_n(pieces.scores() + head * count, count, seen + head * source);
      }
    }
    stream.add(Matrix(w[3]), stream.context.data(), norms, 1);
    stream.feed_forward(Matrix(w[4]), Matrix(w[5]), norms, 2);
  }
  if (plan.norm_first) {
    const Norms last{static_cast<const float*>(weights[2 + 7 * plan.layers]), width};
    last.apply(stream.x.data(), stream.x.data(), 0, rows);
  }
  output.project(Matrix(weights[plan.last()]), stream.x.data(), rows);
}

}  // namespace seq2seq
