// From logits to the largest log-probabilities of every row, while the logits are being computed: they
// are many, and nothing else reads them.
#pragma once

#include <limits>
#include <vector>

#include "int8.h"

namespace seq2seq {

// Reads a row of logits block by block: the `count` largest in falling order, the first of equals
// first, and the sums of a softmax relative to the largest so far. A NaN anywhere spoils the row.
class RowReader {
 public:
  RowReader(float* values, int64_t* tokens, int64_t count)
      : values_(values), tokens_(tokens), count_(count) {}

  // Logits `first` to `first + size`, at most a group.
  void read(const float* x, int64_t first, int64_t size) {
    float top = x[0], undefined = 0;
#pragma omp simd reduction(max : top)
    for (int64_t i = 0; i < size; i++) top = x[i] > top ? x[i] : top;
    if (held_ < count_ || top > bar_) {
      for (int64_t i = 0; i < size; i++) {
        if (held_ < count_ || x[i] > bar_) insert(x[i], first + i);
      }
    }
    if (!(top > kNever)) {  // nothing but impossible ones, or something that is no number
      for (int64_t i = 0; i < size; i++) undefined += x[i] == kNever ? 0.0f : x[i];
      sum_ += undefined * 0.0f;
      return;
    }
    raise(top);
    float sum = 0, mean = 0;
    const float largest = largest_;
#pragma omp simd reduction(+ : sum, mean)
    for (int64_t i = 0; i < size; i++) {
      const float below = x[i] - largest;
      const float share = exponential(below);
      sum += share;
      mean += share * (below < -1e30f ? 0.0f : below);
    }
    sum_ += sum, mean_ += mean;
  }

  // What another reader found in logits that come after these.
  void join(const RowReader& other) {
    for (int64_t k = 0; k < other.held_; k++) {
      if (held_ == count_ && !(other.values_[k] > bar_)) break;
      insert(other.values_[k], other.tokens_[k]);
    }
    if (!(other.largest_ > kNever)) {
      sum_ += other.sum_;
      return;
    }
    raise(other.largest_);
    const float below = other.largest_ - largest_, factor = exponential(below);
    sum_ += factor * other.sum_;
    mean_ += factor * (other.mean_ + below * other.sum_);
  }

  // Logits become log-probabilities; the entropy in nats.
  float finish() {
    const float total = std::log(sum_);
    for (int64_t k = 0; k < count_; k++) values_[k] = values_[k] - largest_ - total;
    return total - mean_ / sum_;
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
      const float below = largest_ - top, factor = exponential(below);
      mean_ = factor * (mean_ + below * sum_), sum_ *= factor;
    }
    largest_ = top;
  }

  float* values_;
  int64_t* tokens_;
  int64_t count_, held_ = 0;
  float largest_ = kNever, bar_ = kNever, sum_ = 0, mean_ = 0;
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
