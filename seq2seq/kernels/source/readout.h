// From logits to the largest log-probabilities of every row, while the logits are being computed: they
// are many, and nothing else reads them.
#pragma once

#include <limits>
#include <vector>

#include "int8.h"

namespace seq2seq {

// The largest of some numbers, in falling order, the first of equals first, and where they were.
class Best {
 public:
  Best(float* values, int64_t* tokens, int64_t count)
      : values_(values), tokens_(tokens), count_(count) {}

  bool full() const { return held_ == count_; }
  int64_t held() const { return held_; }
  float last() const { return value(held_ - 1); }
  float value(int64_t k) const { return few() ? near_values_[k] : values_[k]; }
  int64_t token(int64_t k) const { return few() ? near_tokens_[k] : tokens_[k]; }

  // There must be room, or the smallest be smaller.
  void insert(float value, int64_t token) {
#if defined(__AVX512F__)
    if (few()) {
      const __m512 values = _mm512_load_ps(near_values_);
      const __m512i tokens = _mm512_load_si512(near_tokens_);
      const unsigned before =
          _mm512_cmp_ps_mask(values, _mm512_set1_ps(value), _CMP_GE_OQ) & ((1u << held_) - 1);
      const auto others = static_cast<__mmask16>(~(before + 1));  // sorted: those before come first
      _mm512_store_ps(near_values_, _mm512_mask_expand_ps(_mm512_set1_ps(value), others, values));
      _mm512_store_si512(near_tokens_,
                         _mm512_mask_expand_epi32(_mm512_set1_epi32(token), others, tokens));
      if (!full()) held_++;
      return;
    }
#endif
    int64_t place = full() ? count_ - 1 : held_++;
    for (; place > 0 && values_[place - 1] < value; place--) {
      values_[place] = values_[place - 1], tokens_[place] = tokens_[place - 1];
    }
    values_[place] = value, tokens_[place] = token;
  }

  // At the end: all of them to where they belong, less `largest` and then `rest`.
  void settle(float largest, float rest) {
    for (int64_t k = 0; k < count_; k++) {
      tokens_[k] = token(k);
      values_[k] = value(k) - largest - rest;
    }
  }

 private:
#if defined(__AVX512F__)
  static constexpr int64_t kFew = 16;  // that fit into a vector, in which all find their place at once
  bool few() const { return count_ <= kFew; }
#else
  static constexpr int64_t kFew = 1;
  bool few() const { return false; }
#endif

  float* values_;
  int64_t* tokens_;
  int64_t count_, held_ = 0;
  alignas(64) float near_values_[kFew] = {};
  alignas(64) std::int32_t near_tokens_[kFew] = {};
};

// Reads a row of logits block by block: the `count` largest in falling order, the first of equals
// first, and the sums of a softmax relative to the largest so far. A NaN anywhere spoils the row.
class RowReader {
 public:
  RowReader(float* values, int64_t* tokens, int64_t count)
      : best_(values, tokens, count) {}

  // Logits `first` to `first + size`, at most a group.
  void read(const float* x, int64_t first, int64_t size) {
    alignas(64) float rest[kGroup], sum[kLanes], mean[kLanes];
    const float* block = x;
    if (size < kGroup) {
      std::copy(x, x + size, rest);
      std::fill(rest + size, rest + kGroup, kNever);
      block = rest;
    }
    if (!best_.full()) {
      for (int64_t i = 0; i < size; i++) {
        if (!best_.full() || x[i] > bar_) insert(x[i], first + i);
      }
      raise(best_.value(0));
    } else if (std::uint64_t above = those_above(block, bar_)) {
      for (; above != 0; above &= above - 1) {
        const int i = __builtin_ctzll(above);
        if (block[i] > bar_) insert(block[i], first + i);  // which may be higher by now
      }
      raise(best_.value(0));
    }
    // Relative to 0 while there are none but impossible ones.
    const float largest = largest_ > kNever ? largest_ : 0.0f;
    std::memcpy(sum, sum_, sizeof(sum));  // of its own, so that they can stay in registers
    std::memcpy(mean, mean_, sizeof(mean));
    for (int64_t j = 0; j < kGroup; j += kLanes) add(sum, mean, block + j, largest);
    std::memcpy(sum_, sum, sizeof(sum));
    std::memcpy(mean_, mean, sizeof(mean));
  }

  // What another reader found in logits that come after these.
  void join(const RowReader& other) {
    for (int64_t k = 0; k < other.best_.held(); k++) {
      if (best_.full() && !(other.best_.value(k) > bar_)) break;
      insert(other.best_.value(k), other.best_.token(k));
    }
    raise(other.largest_);
    const float below = other.largest_ > kNever ? other.largest_ - largest_ : 0.0f;
    const float factor = exponential(below);
    for (int64_t i = 0; i < kLanes; i++) {
      sum_[i] += factor * other.sum_[i];
      mean_[i] += factor * (other.mean_[i] + below * other.sum_[i]);
    }
  }

  // Logits become log-probabilities; the entropy in nats.
  float finish() {
    float sum = 0, mean = 0;
    for (int64_t i = 0; i < kLanes; i++) sum += sum_[i], mean += mean_[i];
    const float total = std::log(sum);
    best_.settle(largest_, total);
    return total - mean / sum;
  }

 private:
  static constexpr int64_t kLanes = 16;
  static constexpr float kNever = -std::numeric_limits<float>::infinity();

  // Which numbers of a group are above the bar, as bits.
  static std::uint64_t those_above(const float* block, float bar) {
    std::uint64_t found = 0;
#if defined(__AVX512F__)
    const __m512 bars = _mm512_set1_ps(bar);
    for (int64_t j = 0; j < kGroup; j += kLanes) {
      const __mmask16 some = _mm512_cmp_ps_mask(_mm512_loadu_ps(block + j), bars, _CMP_GT_OQ);
      found |= static_cast<std::uint64_t>(some) << j;
    }
#else
    int any = 0;
#pragma omp simd reduction(| : any)
    for (int64_t i = 0; i < kGroup; i++) any |= block[i] > bar;
    for (int64_t i = 0; any && i < kGroup; i++) {
      found |= static_cast<std::uint64_t>(block[i] > bar) << i;
    }
#endif
    return found;
  }

  // Adds lanes of logits to the sums. Below e^-87 nothing counts; NaN stays NaN.
  static SEQ2SEQ_INLINE void add(float* sum, float* mean, const float* x, float largest) {
#if defined(__AVX512F__)
    const __m512 every = _mm512_sub_ps(_mm512_loadu_ps(x), _mm512_set1_ps(largest));
    const __m512 below = _mm512_max_ps(_mm512_set1_ps(-87.0f), every);
    const __m512 share = exponentials(below);
    _mm512_storeu_ps(sum, _mm512_add_ps(_mm512_loadu_ps(sum), share));
    _mm512_storeu_ps(mean, _mm512_fmadd_ps(share, below, _mm512_loadu_ps(mean)));
#else
#pragma omp simd
    for (int64_t i = 0; i < kLanes; i++) {
      float below = x[i] - largest;
      below = below < -87.0f ? -87.0f : below;
      const float share = exponential_between(below);
      sum[i] += share;
      mean[i] += share * below;
    }
#endif
  }

  void insert(float value, int64_t token) {
    best_.insert(value, token);
    if (best_.full()) bar_ = best_.last();
  }

  void raise(float top) {
    if (!(top > largest_)) return;
    const bool first = !(largest_ > kNever);
    const float below = first ? 0.0f : largest_ - top, factor = first ? 0.0f : exponential(below);
    for (int64_t i = 0; i < kLanes; i++) {  // times 0, a NaN stays one
      mean_[i] = factor * (mean_[i] + below * sum_[i]);
      sum_[i] = factor * sum_[i];
    }
    largest_ = top;
  }

  Best best_;
  float largest_ = kNever, bar_ = kNever;
  float sum_[kLanes] = {}, mean_[kLanes] = {};
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
    Floats group(rows * kGroup);
    for (int64_t g = begin; g < end; g++) {
      groups({group.data(), kGroup, g * kGroup}, m, read, rows, g, g + 1);
      const int64_t size = std::min(kGroup, m.out - g * kGroup);
      for (int64_t n = 0; n < rows; n++) readers[n].read(&group[n * kGroup], g * kGroup, size);
    }
  };
  const int64_t threads = Sharing::threads(m);
  const int64_t share = (m.groups + threads - 1) / threads;
  Floats values(threads * rows * to.count);
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
    Team::get().share(threads, [&](int64_t begin, int64_t end) {
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
