// From logits to the largest log-probabilities of every row.
#pragma once

#include <limits>
#include <vector>

#include "math.h"

namespace seq2seq {

// The `count` largest of a row, in falling order, the first of equals first; with log-probabilities
// in place of logits. Returns the entropy in nats. A NaN anywhere makes all of it NaN.
inline float read_row(float* values, int64_t* tokens, const float* x, int64_t size, int64_t count) {
  constexpr int64_t kBlock = 64;
  float largest = x[0];
  int64_t held = 0;
  float bar = -std::numeric_limits<float>::infinity();
  const auto insert = [&](float value, int64_t token) {
    int64_t place = held < count ? held++ : count - 1;
    for (; place > 0 && values[place - 1] < value; place--) {
      values[place] = values[place - 1], tokens[place] = tokens[place - 1];
    }
    values[place] = value, tokens[place] = token;
    if (held == count) bar = values[count - 1];
  };
  for (int64_t begin = 0; begin < size; begin += kBlock) {
    const int64_t end = std::min(begin + kBlock, size);
    float top = x[begin];
#pragma omp simd reduction(max : top)
    for (int64_t i = begin; i < end; i++) top = x[i] > top ? x[i] : top;
    largest = top > largest ? top : largest;
    if (held == count && !(top > bar)) continue;
    for (int64_t i = begin; i < end; i++) {
      if (held < count || x[i] > bar) insert(x[i], i);
    }
  }
  float sum = 0, mean = 0;
#pragma omp simd reduction(+ : sum, mean)
  for (int64_t i = 0; i < size; i++) {
    const float below = x[i] - largest;
    const float share = exponential(below);
    sum += share;
    mean += share * (below < -1e30f ? 0.0f : below);
  }
  const float total = std::log(sum);
  for (int64_t k = 0; k < count; k++) values[k] = values[k] - largest - total;
  return total - mean / sum;
}

}  // namespace seq2seq
