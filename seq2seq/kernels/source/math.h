// The functions of a network, over rows of floats, in loops that compilers vectorise.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace seq2seq {

using std::int64_t;

// Functions inside loops must become part of them, or the loop runs one number at a time.
#define SEQ2SEQ_INLINE inline __attribute__((always_inline))

// exp(x) = 2^n exp(r), |r| <= ln(2) / 2, by a polynomial (Cephes' expf); 2 units in the last place.
SEQ2SEQ_INLINE float exponential(float x) {
  x = x > 88.0f ? 88.0f : x;
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

SEQ2SEQ_INLINE float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

SEQ2SEQ_INLINE float hyperbolic_tangent(float x) {
  return 1.0f - 2.0f / (exponential(2.0f * x) + 1.0f);
}

inline float dot(const float* a, const float* b, int64_t size) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < size; i++) sum += a[i] * b[i];
  return sum;
}

// y += factor * x
inline void add_scaled(float* y, const float* x, float factor, int64_t size) {
#pragma omp simd
  for (int64_t i = 0; i < size; i++) y[i] += factor * x[i];
}

// Scores become weights that add up to 1.
inline void softmax(float* x, int64_t size) {
  float largest = x[0];
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < size; i++) largest = x[i] > largest ? x[i] : largest;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < size; i++) sum += x[i] = exponential(x[i] - largest);
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
  for (int64_t s = 0; s < length; s++) weights[s] = dot(query, keys + s * stride, width) * scale;
  softmax(weights, length);
  mix(context, weights, values, length, stride, width);
}

// Keys of one head in columns, so that many queries find their scores side by side.
class Columns {
 public:
  // `length` keys of `width` numbers, which lie `stride` apart.
  void read(const float* keys, int64_t length, int64_t stride, int64_t width) {
    const int64_t block = kSides * kSideCount;
    length_ = length, width_ = width, columns_ = (length + block - 1) / block * block;
    keys_.assign(width * columns_, 0.0f);
    scores_.resize(columns_);
    for (int64_t s = 0; s < length; s++) {
      for (int64_t i = 0; i < width; i++) keys_[i * columns_ + s] = keys[s * stride + i];
    }
  }

  // As attend(), for one query.
  void attend(float* context, const float* query, const float* values, int64_t stride, float scale) {
    for (int64_t s = 0; s < columns_; s += kSides * kSideCount) {
      Side sums[kSides] = {};
      for (int64_t i = 0; i < width_; i++) {
        const float* row = &keys_[i * columns_ + s];
        for (int64_t j = 0; j < kSides; j++) sums[j] += query[i] * load_side(row + j * kSideCount);
      }
      for (int64_t j = 0; j < kSides; j++) sums[j] *= scale;
      std::memcpy(&scores_[s], sums, sizeof(sums));
    }
    softmax(scores_.data(), length_);
    mix(context, scores_.data(), values, length_, stride, width_);
  }

 private:
  int64_t length_ = 0, width_ = 0, columns_ = 0;
  std::vector<float> keys_, scores_;
};

}  // namespace seq2seq
