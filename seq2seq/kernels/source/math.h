// The functions of a network, over rows of floats, in loops that compilers vectorise.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace seq2seq {

using std::int64_t;

// Memory that nobody has written to yet: what is computed next fills all of it.
template <class T>
struct Unwritten : std::allocator<T> {
  template <class U>
  struct rebind {
    using other = Unwritten<U>;
  };
  template <class U>
  void construct(U*) noexcept {}
  template <class U, class... Given>
  void construct(U* place, Given&&... given) {
    ::new (static_cast<void*>(place)) U(std::forward<Given>(given)...);
  }
};
using Floats = std::vector<float, Unwritten<float>>;

// Functions inside loops must become part of them, or the loop runs one number at a time.
#define SEQ2SEQ_INLINE inline __attribute__((always_inline))

// exp(x) = 2^n exp(r), |r| <= ln(2) / 2, by a polynomial (Cephes' expf); 2 units in the last place.
// For x of at most 88.
SEQ2SEQ_INLINE float exponential_below(float x) {
  x = x < -87.0f ? -87.0f : x;  // NaN stays NaN
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

SEQ2SEQ_INLINE float exponential(float x) { return exponential_below(x > 88.0f ? 88.0f : x); }

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

// y += factor * x
inline void add_scaled(float* y, const float* x, float factor, int64_t size) {
#pragma omp simd
  for (int64_t i = 0; i < size; i++) y[i] += factor * x[i];
}

// Scores become weights that add up to 1. Fastest if the size is a multiple of 16.
inline void softmax(float* x, int64_t size) {
  float largest = x[0];
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < size; i++) largest = x[i] > largest ? x[i] : largest;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < size; i++) sum += x[i] = exponential_below(x[i] - largest);
  const float share = 1.0f / sum;
#pragma omp simd
  for (int64_t i = 0; i < size; i++) x[i] *= share;
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

inline void activate(float* x, Activation kind, int64_t size) {
  if (kind == kRelu) {
#pragma omp simd
    for (int64_t i = 0; i < size; i++) x[i] = x[i] < 0 ? 0 : x[i];
  } else if (kind == kSwish) {
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
constexpr float kNothing = -1e30f;  // a score whose weight is nothing beside any other

SEQ2SEQ_INLINE Side load_side(const float* from) {
  Side side;
  std::memcpy(&side, from, sizeof(side));
  return side;
}

// out (width) = sum over s of weights[s] * rows[s], of which `length` lie `stride` numbers apart.
inline void mix(float* out, const float* weights, const float* rows, int64_t length, int64_t stride,
                int64_t width) {
  int64_t i = 0;
  for (; i + kSides * kSideCount <= width; i += kSides * kSideCount) {
    Side sums[kSides] = {};
    for (int64_t s = 0; s < length; s++) {
      const float* row = rows + s * stride + i;
      for (int64_t j = 0; j < kSides; j++) sums[j] += weights[s] * load_side(row + j * kSideCount);
    }
    std::memcpy(out + i, sums, sizeof(sums));
  }
  std::fill(out + i, out + width, 0.0f);
  for (int64_t s = 0; i < width && s < length; s++) {
    add_scaled(out + i, rows + s * stride + i, weights[s], width - i);
  }
}

// Attention of one query of one head over `length` keys and values, which lie `stride` numbers apart:
// `weights` (length) and their context (width).
inline void attend(float* context, float* weights, const float* query, const float* keys,
                   const float* values, int64_t length, int64_t stride, int64_t width,
                   float scale) {
  static thread_local Floats scores;
  const int64_t size = (length + kSideCount - 1) / kSideCount * kSideCount;
  scores.resize(size);
  for (int64_t s = 0; s < length; s++) scores[s] = dot(query, keys + s * stride, width) * scale;
  std::fill(scores.begin() + length, scores.end(), kNothing);
  softmax(scores.data(), size);
  std::copy(scores.data(), scores.data() + length, weights);
  mix(context, weights, values, length, stride, width);
}

// Keys of one head in columns, so that many queries find their scores side by side.
class Columns {
 public:
  // `length` keys of `width` numbers, which lie `stride` apart.
  void read(const float* keys, int64_t length, int64_t stride, int64_t width) {
    length_ = length, width_ = width;
    columns_ = (length + kSideCount - 1) / kSideCount * kSideCount;
    keys_.resize(width * columns_), scores_.resize(columns_);
    for (int64_t i = 0; i < width; i++) {
      float* column = &keys_[i * columns_];
      for (int64_t s = 0; s < length; s++) column[s] = keys[s * stride + i];
      std::fill(column + length, column + columns_, 0.0f);
    }
  }

  // As attend(), for one query.
  void attend(float* context, const float* query, const float* values, int64_t stride, float scale) {
    int64_t s = 0;
    for (; s + kSides * kSideCount <= columns_; s += kSides * kSideCount) {
      score<kSides>(query, s, scale);
    }
    for (; s < columns_; s += kSideCount) score_in_turns(query, s, scale);
    std::fill(scores_.begin() + length_, scores_.end(), kNothing);
    softmax(scores_.data(), columns_);
    mix(context, scores_.data(), values, length_, stride, width_);
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
};

}  // namespace seq2seq
