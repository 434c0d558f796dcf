// The recurrent models of nn/recurrent.py: a layer that reads, and one step of the decoder.
#pragma once

#include <vector>

#include "int8.h"
#include "readout.h"

namespace seq2seq {

// New state of a GRU (cuDNN's variant) or, with a cell, of an LSTM, in place.
inline void advance(float* hidden, float* cell, const float* gates, const float* recurrent,
                    int64_t size) {
  if (cell == nullptr) {
#pragma omp simd
    for (int64_t i = 0; i < size; i++) {
      const float reset = sigmoid(gates[i] + recurrent[i]);
      const float update = sigmoid(gates[size + i] + recurrent[size + i]);
      const float fresh =
          hyperbolic_tangent(gates[2 * size + i] + reset * recurrent[2 * size + i]);
      hidden[i] = fresh + update * (hidden[i] - fresh);
    }
    return;
  }
#pragma omp simd
  for (int64_t i = 0; i < size; i++) {
    const float input = sigmoid(gates[i] + recurrent[i]);
    const float forget = sigmoid(gates[size + i] + recurrent[size + i]);
    const float fresh = hyperbolic_tangent(gates[2 * size + i] + recurrent[2 * size + i]);
    const float output = sigmoid(gates[3 * size + i] + recurrent[3 * size + i]);
    cell[i] = forget * cell[i] + input * fresh;
    hidden[i] = output * hyperbolic_tangent(cell[i]);
  }
}

// One layer in one direction over right-padded rows: states (rows, length, stride), of which this
// direction writes `size` numbers, zero at padding; `hidden` and `cell` (rows, size) end as the
// state after the last piece.
inline void read_layer(float* states, int64_t stride, float* hidden, float* cell, const float* x,
                       int64_t rows, int64_t length, const int64_t* lengths, bool backward,
                       const Matrix& input, const Matrix& recurrent) {
  const int64_t size = recurrent.in, width = input.out;
  Floats gates(rows * length * width), recurred(rows * width);
  multiply(gates.data(), input, x, rows * length);
  for (int64_t t = 0; t < length; t++) {
    multiply(recurred.data(), recurrent, hidden, rows);
    for (int64_t n = 0; n < rows; n++) {
      if (t >= lengths[n]) continue;
      const int64_t at = n * length + (backward ? lengths[n] - 1 - t : t);
      float* own = hidden + n * size;
      advance(own, cell == nullptr ? nullptr : cell + n * size, &gates[at * width],
              &recurred[n * width], size);
      std::copy(own, own + size, states + at * stride);
    }
  }
}

enum RecurrentAttention : int64_t { kNone = 0, kAdditive = 1, kLuong = 2 };

struct RecurrentPlan {
  int64_t layers, size;
  bool has_cell, input_feeding, has_readout;
  RecurrentAttention attention;

  explicit RecurrentPlan(const int64_t* plan)
      : layers(plan[0]), size(plan[1]), has_cell(plan[2] != 0), input_feeding(plan[3] != 0),
        has_readout(plan[4] != 0), attention(static_cast<RecurrentAttention>(plan[5])) {}
};

struct RecurrentPast {
  float *hidden, *cell, *feed;  // (rows, layers, size) twice and (rows, readout): become the next
  const int64_t *sentence, *lengths;
  int64_t source;
  const float *keys, *values;  // (sentences, source, ...)
  int64_t key_width, value_width;
};

// Weights of the source pieces (length) and their context for one query.
inline void look(float* context, float* weights, const float* query, const float* score,
                 const RecurrentPast& past, int64_t sentence) {
  const int64_t length = past.lengths[sentence], size = past.key_width;
  for (int64_t s = 0; s < length; s++) {
    const float* key = past.keys + (sentence * past.source + s) * size;
    if (score == nullptr) {
      weights[s] = dot(query, key, size);
      continue;
    }
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < size; i++) sum += score[i] * hyperbolic_tangent(query[i] + key[i]);
    weights[s] = sum;
  }
  softmax(weights, length);
  std::fill(context, context + past.value_width, 0.0f);
  for (int64_t s = 0; s < length; s++) {
    const float* value = past.values + (sentence * past.source + s) * past.value_width;
    add_scaled(context, value, weights[s], past.value_width);
  }
}

// One step for all rows: the output, and attention (rows, source), which is expected to be zero.
//
// `weights`: table, then per layer the input's and the recurrent matrix, then with additive attention
// the query's matrix and the vector of scores, the readout's matrix if there is one, and the output
// layer.
inline void step_recurrent(const Output& output, float* attention, const int64_t* tokens, int64_t rows,
                           const RecurrentPast& past, const RecurrentPlan& plan,
                           const void* const* weights) {
  const Matrix table(weights[0]), first(weights[1]);
  const int64_t size = plan.size, width = table.in, layers = plan.layers;
  const bool additive = plan.attention == kAdditive, luong = plan.attention == kLuong;
  const void* const* after = weights + 1 + 2 * layers;
  const int64_t values = past.value_width;
  Floats x(rows * first.in), context(rows * values), top(rows * size);
  const auto read_top = [&] {
    for (int64_t n = 0; n < rows; n++) {
      const float* from = past.hidden + (n * layers + layers - 1) * size;
      std::copy(from, from + size, &top[n * size]);
    }
  };
  if (additive) {  // the context comes from the state before the step
    const Matrix query(after[0]);
    const float* score = static_cast<const float*>(after[1]);
    Floats queries(rows * query.out);
    read_top();
    multiply(queries.data(), query, top.data(), rows);
    for (int64_t n = 0; n < rows; n++) {
      look(&context[n * values], attention + n * past.source, &queries[n * query.out], score, past,
           past.sentence[n]);
    }
  }
  for (int64_t n = 0; n < rows; n++) {
    float* row = &x[n * first.in];
    table.row(row, tokens[n]);
    if (additive) std::copy(&context[n * values], &context[n * values] + values, row + width);
    if (plan.input_feeding) {
      const int64_t fed = first.in - width;
      std::copy(past.feed + n * fed, past.feed + (n + 1) * fed, row + width);
    }
  }
  Floats gates, recurred, hidden(rows * size), inputs = x;
  for (int64_t layer = 0; layer < layers; layer++) {
    const Matrix input(weights[1 + 2 * layer]), recurrent(weights[2 + 2 * layer]);
    gates.resize(rows * input.out), recurred.resize(rows * input.out);
    for (int64_t n = 0; n < rows; n++) {
      const float* from = past.hidden + (n * layers + layer) * size;
      std::copy(from, from + size, &hidden[n * size]);
    }
    multiply(gates.data(), input, inputs.data(), rows);
    multiply(recurred.data(), recurrent, hidden.data(), rows);
    inputs.resize(rows * size);
    for (int64_t n = 0; n < rows; n++) {
      const int64_t at = (n * layers + layer) * size;
      advance(past.hidden + at, plan.has_cell ? past.cell + at : nullptr, &gates[n * input.out],
              &recurred[n * input.out], size);
      std::copy(past.hidden + at, past.hidden + at + size, &inputs[n * size]);
    }
  }
  // What the output layer reads.
  const void* const* readout = after + (additive ? 2 : 0);
  Floats read = inputs, parts;
  if (additive) {
    const Matrix matrix(readout[0]);
    parts.resize(rows * matrix.in);
    for (int64_t n = 0; n < rows; n++) {  // state, embedding, context
      float* row = &parts[n * matrix.in];
      std::copy(&inputs[n * size], &inputs[n * size] + size, row);
      std::copy(&x[n * first.in], &x[n * first.in] + first.in, row + size);
    }
    Floats pairs(rows * matrix.out);
    multiply(pairs.data(), matrix, parts.data(), rows);
    const int64_t half = matrix.out / 2;
    read.resize(rows * half);
    for (int64_t n = 0; n < rows; n++) {
      const float* pair = &pairs[n * matrix.out];
      for (int64_t i = 0; i < half; i++) read[n * half + i] = std::max(pair[i], pair[half + i]);
    }
  } else if (luong) {
    const Matrix matrix(readout[0]);
    parts.resize(rows * matrix.in);
    for (int64_t n = 0; n < rows; n++) {  // context, state
      float* row = &parts[n * matrix.in];
      look(row, attention + n * past.source, &inputs[n * size], nullptr, past, past.sentence[n]);
      std::copy(&inputs[n * size], &inputs[n * size] + size, row + values);
    }
    read.resize(rows * matrix.out);
    multiply(read.data(), matrix, parts.data(), rows);
    for (float& value : read) value = hyperbolic_tangent(value);
    if (plan.input_feeding) std::copy(read.begin(), read.end(), past.feed);
  } else if (plan.has_readout) {
    const Matrix matrix(readout[0]);
    read.resize(rows * matrix.out);
    multiply(read.data(), matrix, inputs.data(), rows);
  }
  output.project(Matrix(readout[plan.has_readout ? 1 : 0]), read.data(), rows);
}

}  // namespace seq2seq
