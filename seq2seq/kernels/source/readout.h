// From logits to the largest log-probabilities of every row, while the logits are being computed: they
// are many, and nothing else reads them.
#pragma once

#include <limits>
#include <vector>

#include "int8.h"

namespace seq2seq {

// exp(x) of 16 numbers, see `exponential`; for x <= 0.
inline __m512 exponential(__m512 x) {
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 8);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
  r = _mm512_fmadd_ps(n, _mm512_set1_ps(2.12194440e-4f), r);
  __m512 p = _mm512_set1_ps(1.9875691500e-4f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1f));
  p = _mm512_fmadd_ps(_mm512_mul_ps(p, r), r, _mm512_add_ps(r, _mm512_set1_ps(1.0f)));
  return _mm512_scalef_ps(p, n);
}

// Reads a row of logits block by block: the `count` largest in falling order, the first of equals
// first, and the sums of a softmax relative to the largest so far. A NaN anywhere spoils the row.
class RowReader {
 public:
  RowReader(float* values, int64_t* tokens, int64_t count)
      : values_(values), tokens_(tokens), count_(count) {}

  // Logits `first` to `first + size`, at most a group.
  void read(const float* x, int64_t first, int64_t size) {
    __m512 parts[4], top = _mm512_set1_ps(kNever);
    for (int j = 0; j < 4; j++) {
      const int64_t left = std::clamp<int64_t>(size - 16 * j, 0, 16);
      parts[j] = _mm512_mask_loadu_ps(_mm512_set1_ps(kNever), (1u << left) - 1, x + 16 * j);
      top = _mm512_max_ps(top, parts[j]);
    }
    const float highest = _mm512_reduce_max_ps(top);
    if (held_ < count_ || highest > bar_) {
      for (int64_t i = 0; i < size; i++) {
        if (held_ < count_ || x[i] > bar_) insert(x[i], first + i);
      }
    }
    raise(highest);
    // Relative to 0 while there are none but impossible ones; below e^-87 nothing counts.
    const __m512 largest = _mm512_set1_ps(largest_ > kNever ? largest_ : 0.0f);
    const __m512 least = _mm512_set1_ps(-87.0f);
    __m512 sum = _mm512_setzero_ps(), mean = _mm512_setzero_ps();
    for (int j = 0; j < 4; j++) {  // of two numbers of which one is NaN, max gives the second
      const __m512 below = _mm512_max_ps(least, _mm512_sub_ps(parts[j], largest));
      const __m512 share = exponential(below);
      sum = _mm512_add_ps(sum, share);
      mean = _mm512_fmadd_ps(share, below, mean);
    }
    sum_ = _mm512_add_ps(sum_, sum), mean_ = _mm512_add_ps(mean_, mean);
  }

  // What another reader found in logits that come after these.
  void join(const RowReader& other) {
    for (int64_t k = 0; k < other.held_; k++) {
      if (held_ == count_ && !(other.values_[k] > bar_)) break;
      insert(other.values_[k], other.tokens_[k]);
    }
    raise(other.largest_);
    const float below = other.largest_ > kNever ? other.largest_ - largest_ : 0.0f;
    const __m512 factor = _mm512_set1_ps(exponential(below));
    const __m512 moved = _mm512_fmadd_ps(_mm512_set1_ps(below), other.sum_, other.mean_);
    sum_ = _mm512_fmadd_ps(factor, other.sum_, sum_);
    mean_ = _mm512_fmadd_ps(factor, moved, mean_);
  }

  // Logits become log-probabilities; the entropy in nats.
  float finish() {
    const float sum = _mm512_reduce_add_ps(sum_), total = std::log(sum);
    for (int64_t k = 0; k < count_; k++) values_[k] = values_[k] - largest_ - total;
    return total - _mm512_reduce_add_ps(mean_) / sum;
  }

 private:
  static constexpr float kNever = -std::numeric_limits<float>::infinity();

  void insert(float value, int64_t token) {
    int64_t place = held_ < count_ ? held_++ : count_ - 1;
    for (; place > 0 && values_[place - 1] < value; place--) {
      values_[place] = values_[place - 1], tokens_[place] = tokens_[place - 1];
    }
    values_[place] = value, tokens_[place] = token;
    if (held_ == count_) bar_ = values_[count_ - 1];
  }

  void raise(float top) {
    if (!(top > largest_)) return;
    if (largest_ > kNever) {
      const float below = largest_ - top;
      const __m512 factor = _mm512_set1_ps(exponential(below));
      mean_ = _mm512_mul_ps(factor, _mm512_fmadd_ps(_mm512_set1_ps(below), sum_, mean_));
      sum_ = _mm512_mul_ps(factor, sum_);
    } else {
      sum_ = _mm512_mul_ps(sum_, _mm512_setzero_ps());  // NaN stays
      mean_ = _mm512_setzero_ps();
    }
    largest_ = top;
  }

  float* values_;
  int64_t* tokens_;
  int64_t count_, held_ = 0;
  float largest_ = kNever, bar_ = kNever;
  __m512 sum_ = _mm512_setzero_ps(), mean_ = _mm512_setzero_ps();
};

// What the largest of some rows are written to.
struct Largest {
  float* values;    // (rows, count)
  int64_t* tokens;  // (rows, count)
  float* entropy;   // (rows,)
  int64_t count;
};

// The largest of logits that are there already.
inline void read_rows(const Largest& to, const float* logits, int64_t rows, int64_t size) {
  for (int64_t n = 0; n < rows; n++) {
    RowReader reader(to.values + n * to.count, to.tokens + n * to.count, to.count);
    for (int64_t i = 0; i < size; i += kGroup) {
      reader.read(logits + n * size + i, i, std::min(kGroup, size - i));
    }
    to.entropy[n] = reader.finish();
  }
}

// The largest outputs of a matrix, of which only one group at a time is ever in memory.
inline void multiply_and_read(const Largest& to, const Matrix& m, const float* x, int64_t rows) {
  static thread_local Quantised quantised;
  quantised.read(x, rows, m.in);
  const Quantised& read = quantised;  // of this thread, whoever computes
  const auto part = [&](std::vector<RowReader>& readers, int64_t begin, int64_t end) {
    std::vector<float> group(rows * kGroup);
    for (int64_t g = begin; g < end; g++) {
      groups({group.data(), kGroup, g * kGroup}, m, read, rows, g, g + 1);
      const int64_t size = std::min(kGroup, m.out - g * kGroup);
      for (int64_t n = 0; n < rows; n++) readers[n].read(&group[n * kGroup], g * kGroup, size);
    }
  };
  const int64_t threads = m.bytes() < kShared ? 1 : torch::stable::get_num_threads();
  const int64_t share = (m.groups + threads - 1) / threads;
  std::vector<float> values(threads * rows * to.count);
  std::vector<int64_t> tokens(threads * rows * to.count);
  std::vector<std::vector<RowReader>> readers(threads);
  const auto work = [&](int64_t thread) {
    for (int64_t n = 0; n < rows; n++) {
      const int64_t at = (thread * rows + n) * to.count;
      readers[thread].emplace_back(thread ? &values[at] : to.values + n * to.count,
                                   thread ? &tokens[at] : to.tokens + n * to.count, to.count);
    }
    part(readers[thread], thread * share, std::min((thread + 1) * share, m.groups));
  };
  if (threads == 1) {
    work(0);
  } else {
    torch::stable::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t thread = begin; thread < end; thread++) work(thread);
    });
  }
  for (int64_t n = 0; n < rows; n++) {
    for (int64_t thread = 1; thread < threads; thread++) readers[0][n].join(readers[thread][n]);
    to.entropy[n] = readers[0][n].finish();
  }
}

// What comes out of a step: all logits (rows, vocabulary), or the largest log-probabilities.
struct Output {
  float* logits;  // null if the largest are wanted
  Largest largest;

  void project(const Matrix& matrix, const float* x, int64_t rows) const {
    if (logits != nullptr) {
      multiply(logits, matrix, x, rows);
    } else {
      multiply_and_read(largest, matrix, x, rows);
    }
  }
};

}  // namespace seq2seq
