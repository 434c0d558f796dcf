// The functions of a network, over rows of floats, in loops that compilers vectorise.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "memory.h"

namespace seq2seq {

inline int64_t padded(int64_t size, int64_t to) { return (size + to - 1) / to * to; }

// Functions inside loops must become part of them, or the loop runs one number at a time.
#define SEQ2SEQ_INLINE inline __attribute__((always_inline))

// exp(x) = 2^n exp(r), |r| <= ln(2) / 2, by a polynomial (Cephes' expf); 2 units in the last place.
// For x from -87 to 88.
SEQ2SEQ_INLINE float exponential_between(float x) {
  const float n = std::rint(x * 1.44269504f);
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const std::int32_t bits = (static_cast<std::int32_t>(n) + 127) * (1 << 23);
  float power;
  std::memcpy(&power, &bits, sizeof(power));
  return p * power;
}

// For x of at most 88; NaN stays NaN.
SEQ2SEQ_INLINE float exponential_below(float x) {
  return exponential_between(x < -87.0f ? -87.0f : x);
}

SEQ2SEQ_INLINE float exponential(float x) { return exponential_below(x > 88.0f ? 88.0f : x); }

#if defined(__AVX512F__)
// The lanes of a vector that `count` numbers fill, from none to all.
SEQ2SEQ_INLINE __mmask16 first_lanes(int64_t count) {
  return static_cast<__mmask16>(count < 16 ? (1 << std::max<int64_t>(count, 0)) - 1 : 0xffff);
}

// exp(x) of finite numbers, or NaN: 2^n 2^r with a polynomial for 2^r, |r| <= 1/2, whose coefficients
// minimise the largest relative error (by Remez' algorithm). 1 unit in the last place near 0, 10 at -87.
SEQ2SEQ_INLINE __m512 exponentials(__m512 x) {
  const __m512 rate = _mm512_set1_ps(1.44269504f);
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, rate),
                                        _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 r = _mm512_fmsub_ps(x, rate, n);
  __m512 p = _mm512_set1_ps(1.53458124e-4f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.33999309e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(9.61848907e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.55032864e-2f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2.40226462e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(6.93147182e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, n);
}
#endif

SEQ2SEQ_INLINE float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

SEQ2SEQ_INLINE float hyperbolic_tangent(float x) {
  return 1.0f - 2.0f / (exponential(2.0f * x) + 1.0f);
}

SEQ2SEQ_INLINE float dot(const float* a, const float* b, int64_t size) {
  float sum = 0;
  int64_t i = 0;
#if defined(__AVX512F__)
  if (size >= 16) {
    __m512 sums = _mm512_setzero_ps();
    for (; i + 16 <= size; i += 16) {
      sums = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), sums);
    }
    sum = _mm512_reduce_add_ps(sums);
    if (i == size) return sum;
  }
#endif
#pragma omp simd reduction(+ : sum)
  for (int64_t j = i; j < size; j++) sum += a[j] * b[j];
  return sum;
}

// Dot products of a row with four others, to `out`.
SEQ2SEQ_INLINE void four_dots(float* out, const float* a, const float* const* rows, int64_t size) {
#if defined(__AVX512F__)
  if (size % 16 == 0) {
    __m512 sums[4];
    for (int64_t j = 0; j < 4; j++) sums[j] = _mm512_setzero_ps();
    for (int64_t i = 0; i < size; i += 16) {
      const __m512 x = _mm512_loadu_ps(a + i);
      for (int64_t j = 0; j < 4; j++) {
        sums[j] = _mm512_fmadd_ps(x, _mm512_loadu_ps(rows[j] + i), sums[j]);
      }
    }
    // Sums of all four at once: of pairs of lanes, of fours, and of the quarters of a vector.
    const auto pairs = [](__m512 x, __m512 y) {
      return _mm512_add_ps(_mm512_unpacklo_ps(x, y), _mm512_unpackhi_ps(x, y));
    };
    const __m512d left = _mm512_castps_pd(pairs(sums[0], sums[1]));
    const __m512d right = _mm512_castps_pd(pairs(sums[2], sums[3]));
    const __m512 fours = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(left, right)),
                                       _mm512_castpd_ps(_mm512_unpackhi_pd(left, right)));
    const __m256 halves = _mm256_add_ps(
        _mm512_castps512_ps256(fours),
        _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(fours), 1)));
    const __m128 all = _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1));
    _mm_storeu_ps(out, all);
    return;
  }
#endif
  for (int64_t j = 0; j < 4; j++) out[j] = dot(a, rows[j], size);
}

// y += factor * x
inline void add_scaled(float* y, const float* x, float factor, int64_t size) {
#pragma omp simd
  for (int64_t i = 0; i < size; i++) y[i] += factor * x[i];
}

// Scores become weights that add up to 1.
inline void softmax(float* x, int64_t size) {
  if (size <= 0) return;
#if defined(__AVX512F__)
  const __m512 lowest = _mm512_set1_ps(-87.0f);
  const __m512 nothing = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
  const auto load = [&](int64_t i) {
    return _mm512_mask_loadu_ps(nothing, first_lanes(size - i), x + i);
  };
  __m512 largest = load(0), sums = _mm512_setzero_ps();
  for (int64_t i = 16; i < size; i += 16) largest = _mm512_max_ps(largest, load(i));
  largest = _mm512_set1_ps(_mm512_reduce_max_ps(largest));
  for (int64_t i = 0; i < size; i += 16) {
    const __m512 share = exponentials(_mm512_max_ps(lowest, _mm512_sub_ps(load(i), largest)));
    sums = _mm512_mask_add_ps(sums, first_lanes(size - i), sums, share);
    _mm512_mask_storeu_ps(x + i, first_lanes(size - i), share);
  }
  const __m512 rate = _mm512_set1_ps(1.0f / _mm512_reduce_add_ps(sums));
  for (int64_t i = 0; i < size; i += 16) {
    _mm512_mask_storeu_ps(x + i, first_lanes(size - i), _mm512_mul_ps(load(i), rate));
  }
#else
  float largest = x[0];
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < size; i++) largest = x[i] > largest ? x[i] : largest;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < size; i++) sum += x[i] = exponential_below(x[i] - largest);
  const float share = 1.0f / sum;
#pragma omp simd
  for (int64_t i = 0; i < size; i++) x[i] *= share;
#endif
}

// Layer norm (Ba 2016, eq. 4) of a row; `out` may be `x`.
inline void normalise(float* out, const float* x, const float* gain, const float* bias,
                      int64_t size) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < size; i++) sum += x[i];
  const float mean = sum / size;
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (int64_t i = 0; i < size; i++) squares += (x[i] - mean) * (x[i] - mean);
  const float rate = 1.0f / std::sqrt(squares / size + 1e-5f);
#pragma omp simd
  for (int64_t i = 0; i < size; i++) out[i] = (x[i] - mean) * rate * gain[i] + bias[i];
}

enum Activation : int64_t { kRelu = 0, kGelu = 1, kSwish = 2 };

// Of the others, as kRelu comes with the products before it.
inline void activate(float* x, Activation kind, int64_t size) {
  if (kind == kSwish) {
#pragma omp simd
    for (int64_t i = 0; i < size; i++) x[i] *= sigmoid(x[i]);
  } else {
    for (int64_t i = 0; i < size; i++) x[i] *= 0.5f * (1.0f + std::erf(x[i] * 0.70710678f));
  }
}

// Some numbers that are computed side by side, on every processor that the compiler knows.
typedef float Side __attribute__((vector_size(64)));
constexpr int64_t kSideCount = 16;  // of numbers in one
constexpr int64_t kSides = 4;       // that stay in registers together

SEQ2SEQ_INLINE Side load_side(const float* from) {
  Side side;
  std::memcpy(&side, from, sizeof(side));
  return side;
}

// out (width) = sum over s of weights[s] * rows[s], `length` of them, each `offset` numbers after where
// it is said to be.
inline void mix(float* out, const float* weights, const float* const* rows, int64_t length,
                int64_t offset, int64_t width) {
  int64_t i = 0;
  for (; i + kSides * kSideCount <= width; i += kSides * kSideCount) {
    Side sums[kSides] = {};
    for (int64_t s = 0; s < length; s++) {
      const float* row = rows[s] + offset + i;
      for (int64_t j = 0; j < kSides; j++) sums[j] += weights[s] * load_side(row + j * kSideCount);
    }
    std::memcpy(out + i, sums, sizeof(sums));
  }
  std::fill(out + i, out + width, 0.0f);
  for (int64_t s = 0; i < width && s < length; s++) {
    add_scaled(out + i, rows[s] + offset + i, weights[s], width - i);
  }
}

// Attention over keys and values that lie in rows, anywhere in memory: those of several heads side by
// side.
class Attention {
 public:
  // Where the row of a piece begins, in the order of the pieces.
  void clear() { rows_.clear(); }
  void add(const float* row) { rows_.push_back(row); }

  // The context (heads * width) of a query of as many numbers, over keys from `key` on and values from
  // `value` on in each row; the weights are scores() then. Each part for all heads, so that the processor
  // has several sums to work on while it waits for one.
  void attend(float* context, const float* query, int64_t key, int64_t value, int64_t heads,
              int64_t width, float scale) {
    const auto length = static_cast<int64_t>(rows_.size());
    scores_.resize(heads * length);
    for (int64_t head = 0; head < heads; head++) {
      const int64_t at = head * width;
      float* scores = scores_.data() + head * length;
      int64_t s = 0;
      for (; s + 4 <= length; s += 4) {
        const float* keys[4];
        for (int64_t j = 0; j < 4; j++) keys[j] = rows_[s + j] + key + at;
        four_dots(scores + s, query + at, keys, width);
      }
      for (; s < length; s++) scores[s] = dot(query + at, rows_[s] + key + at, width);
      for (s = 0; s < length; s++) scores[s] *= scale;
    }
    for (int64_t head = 0; head < heads; head++) softmax(scores_.data() + head * length, length);
    for (int64_t head = 0; head < heads; head++) {
      const int64_t at = head * width;
      mix(context + at, scores_.data() + head * length, rows_.data(), length, value + at, width);
    }
  }

  // Of the pieces for each head, (heads, length), adding up to 1.
  const float* scores() const { return scores_.data(); }

 private:
  std::vector<const float*> rows_;
  Floats scores_;
};

// Keys of one head in columns, so that many queries find their scores side by side.
class Columns {
 public:
  // `length` keys of `width` numbers, which lie `stride` apart.
  void read(const float* keys, int64_t length, int64_t stride, int64_t width) {
    length_ = length, width_ = width, columns_ = padded(length, kSideCount);
    keys_.resize(width * columns_), scores_.resize(columns_), rows_.resize(length);
    for (int64_t s = 0; s < length; s++) rows_[s] = keys + s * stride;
    for (int64_t i = 0; i < width; i++) {
      float* column = &keys_[i * columns_];
      for (int64_t s = 0; s < length; s++) column[s] = keys[s * stride + i];
      std::fill(column + length, column + columns_, 0.0f);
    }
  }

  // The context of one query over values that lie `value` numbers after their keys.
  void attend(float* context, const float* query, int64_t value, float scale) {
    int64_t s = 0;
    for (; s + kSides * kSideCount <= columns_; s += kSides * kSideCount) {
      score<kSides>(query, s, scale);
    }
    for (; s < columns_; s += kSideCount) score_in_turns(query, s, scale);
    softmax(scores_.data(), length_);
    mix(context, scores_.data(), rows_.data(), length_, value, width_);
  }

 private:
  template <int64_t kCount>
  void score(const float* query, int64_t s, float scale) {
    Side sums[kCount] = {};
    for (int64_t i = 0; i < width_; i++) {
      const float* row = &keys_[i * columns_ + s];
      for (int64_t j = 0; j < kCount; j++) sums[j] += query[i] * load_side(row + j * kSideCount);
    }
    for (int64_t j = 0; j < kCount; j++) sums[j] *= scale;
    std::memcpy(&scores_[s], sums, sizeof(sums));
  }

  // A few columns alone: in turns, as each sum waits for the one before.
  void score_in_turns(const float* query, int64_t s, float scale) {
    Side sums[kSides] = {};
    const float* row = &keys_[s];
    int64_t i = 0;
    for (; i + kSides <= width_; i += kSides) {
      for (int64_t j = 0; j < kSides; j++, row += columns_) sums[j] += query[i + j] * load_side(row);
    }
    for (; i < width_; i++, row += columns_) sums[0] += query[i] * load_side(row);
    const Side sum = ((sums[0] + sums[1]) + (sums[2] + sums[3])) * scale;
    std::memcpy(&scores_[s], &sum, sizeof(sum));
  }

  int64_t length_ = 0, width_ = 0, columns_ = 0;
  Floats keys_, scores_;
  std::vector<const float*> rows_;
};

}  // namespace seq2seq
