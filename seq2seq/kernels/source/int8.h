// Matrices of 8-bit weights, and their products with rows that are quantised as they come.
//
// A weight is q * scale, one scale per output; an input row x is quantised to 127 levels a side with
// a scale of its own, so that no row's result depends on the rows beside it. Sums of products are
// exact in 32 bits.
#pragma once

#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#if defined(__AMX_INT8__) && defined(__linux__)
#define SEQ2SEQ_MATRIX_UNIT
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "lanes.h"
#include "math.h"
#include "threads.h"

namespace seq2seq {

constexpr int64_t kGroup = 64;        // outputs that are stored side by side
constexpr int64_t kSide = 4;          // vectors of them that are computed side by side
constexpr int64_t kHeader = 16;       // int32 numbers before the arrays
constexpr int64_t kBlock = 16;        // rows and outputs of a block in the processor's matrix unit
constexpr int64_t kBlockInputs = 64;  // inputs of such a block
constexpr int64_t kManyRows = 8;      // rows from which the matrix unit is used
constexpr int64_t kShared = 1 << 17;  // bytes of weights from which threads share a product
constexpr int64_t kLargeModel = 1 << 21;  // bytes of the weights of a step from which it shares
constexpr int64_t kLarge = 1 << 20;   // bytes of weights that come from beyond the near caches
constexpr int64_t kAhead = 2048;      // bytes that are asked for before they are needed

inline int64_t padded(int64_t size, int64_t to) { return (size + to - 1) / to * to; }

// A matrix in memory: header (outputs, inputs), scales, biases, and weights + 128 as
// (groups, inputs / 4, 64 outputs, 4 inputs), all padded with zeros.
struct Matrix {
  int64_t out, in, groups, quads;
  const float *scale, *bias;
  const std::uint8_t* values;

  explicit Matrix(const void* memory) {
    const auto* header = static_cast<const std::int32_t*>(memory);
    out = header[0], in = header[1];
    groups = padded(out, kGroup) / kGroup, quads = padded(in, 4) / 4;
    scale = reinterpret_cast<const float*>(header + kHeader);
    bias = scale + groups * kGroup;
    values = reinterpret_cast<const std::uint8_t*>(bias + groups * kGroup);
  }

  static int64_t memory(int64_t out, int64_t in) {
    const int64_t outs = padded(out, kGroup);
    return 4 * kHeader + 8 * outs + outs * padded(in, 4);
  }

  int64_t bytes() const { return groups * kGroup * quads * 4; }

  const std::uint8_t* group(int64_t g) const { return values + g * quads * kGroup * 4; }

  // Row `number` of the matrix as floats, as a table of embeddings gives it.
  void row(float* x, int64_t number) const {
    if (number < 0 || number >= out) {
      throw std::out_of_range("row " + std::to_string(number) + " of a table of " +
                              std::to_string(out));
    }
    const std::uint8_t* from = group(number / kGroup) + (number % kGroup) * 4;
    for (int64_t i = 0; i < in; i++) {
      x[i] = (static_cast<int>(from[i / 4 * kGroup * 4 + i % 4]) - 128) * scale[number];
    }
  }
};

// Rows of 8-bit numbers, their scales, and what the 128 in every weight adds to their products.
struct Quantised {
  std::vector<std::int8_t> values;
  std::vector<float> scale;
  std::vector<std::int32_t> excess;
  int64_t stride = 0;

  void read(const float* x, int64_t rows, int64_t size) {
    stride = padded(size, 4);
    values.resize(padded(rows, 2 * kBlock) * stride);  // blocks are read whole
    scale.resize(rows);
    excess.resize(rows);
    for (int64_t n = 0; n < rows; n++) row(n, x + n * size, size);
  }

 private:
  void row(int64_t n, const float* x, int64_t size) {
    float largest = 0, undefined = 0;
#pragma omp simd reduction(max : largest) reduction(+ : undefined)
    for (int64_t i = 0; i < size; i++) {
      const float magnitude = std::fabs(x[i]);
      largest = magnitude > largest ? magnitude : largest;
      undefined += x[i] * 0.0f;  // NaN if there is one, or an infinity
    }
    const float rate = largest > 1e-30f ? 127.0f / largest : 0.0f;
    std::int8_t* to = values.data() + n * stride;
    std::int32_t sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < size; i++) {
      const auto q = static_cast<std::int32_t>(std::rint(x[i] * rate));
      to[i] = static_cast<std::int8_t>(q);
      sum += q;
    }
    for (int64_t i = size; i < stride; i++) to[i] = 0;
    scale[n] = largest / 127.0f + undefined;
    excess[n] = Lanes::kExcess * sum;
  }
};

// Where products go: output `at` of row n to y[n * stride + at - origin].
struct Place {
  float* y;
  int64_t stride, origin = 0;

  float* of(int64_t n, int64_t at) const { return y + n * stride + at - origin; }
};

// From sums of products to outputs: `count` outputs of row n from `at`.
inline void finish(const Place& to, const Matrix& m, int64_t at, int64_t count, const Quantised& x,
                   int64_t n, std::int32_t excess, const std::int32_t* sums) {
  float* y = to.of(n, at);
  const float *scales = m.scale + at, *bias = m.bias + at, scale = x.scale[n];
#pragma omp simd
  for (int64_t j = 0; j < count; j++) {
    y[j] = static_cast<float>(sums[j] - excess) * (scales[j] * scale) + bias[j];
  }
}

// Products of `R` rows with one group of outputs. The more rows, the less often the loop asks for
// weights, and the processor's own guesses fall behind: `far` ones are asked for early.
template <int R>
inline void tile(const Place& to, const Matrix& m, int64_t g, const Quantised& x, int64_t first,
                 bool far) {
  constexpr int64_t kPart = kSide * Lanes::kCount;
  const std::int8_t* rows = x.values.data() + first * x.stride;
  for (int64_t part = 0; part < kGroup; part += kPart) {
    Lanes lanes[R][kSide];
    const std::uint8_t* w = m.group(g) + 4 * part;
    for (int64_t k = 0; k < m.quads; k++, w += kGroup * 4) {
      Lanes::Weights weights[kSide];
      for (int j = 0; j < kSide; j++) weights[j] = Lanes::load(w + 4 * j * Lanes::kCount);
      if (R > 1 && far) {
        for (int64_t j = 0; j < 4 * kPart; j += 64) __builtin_prefetch(w + j + kAhead, 0, 2);
      }
      for (int r = 0; r < R; r++) {
        std::int32_t quad;
        std::memcpy(&quad, rows + r * x.stride + 4 * k, 4);
        const Lanes::Input input = Lanes::spread(quad);
        for (int j = 0; j < kSide; j++) lanes[r][j].add(weights[j], input);
      }
    }
    const int64_t at = g * kGroup + part, count = std::min(kPart, m.out - at);
    for (int r = 0; r < R; r++) {
      alignas(64) std::int32_t sums[kPart];
      for (int j = 0; j < kSide; j++) lanes[r][j].store(sums + j * Lanes::kCount);
      finish(to, m, at, count, x, first + r, x.excess[first + r], sums);
    }
  }
}

#if defined(SEQ2SEQ_MATRIX_UNIT)

// The processor's matrix unit (AMX), whose registers the system hands out on request.
inline bool has_matrix_unit() {
  constexpr long kRequest = 0x1023, kTileData = 18;
  static const bool granted = syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
  return granted;
}

// Eight blocks of 16 rows of 64 bytes.
inline void shape_blocks() {
  struct alignas(64) {
    std::uint8_t palette = 1, start = 0, reserved[14] = {};
    std::uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } shape;
  _tile_loadconfig(&shape);
}

// Sums of a block as outputs: rows `n` to `n + 16` of `rows`, 16 outputs from `at`. As finish(), with
// the arithmetic of a row in few instructions: for narrow matrices it takes as long as the products.
inline void finish_block(const Place& to, const Matrix& m, int64_t at, const Quantised& x,
                         int64_t n, int64_t rows, const std::int32_t* sums) {
  const int64_t count = m.out - at;
  if (count <= 0) return;
  const auto kept = static_cast<__mmask16>(count < kBlock ? (1 << count) - 1 : 0xffff);
  const __m512 scales = _mm512_loadu_ps(m.scale + at), bias = _mm512_loadu_ps(m.bias + at);
  const int64_t last = std::min(n + kBlock, rows);
  for (int64_t r = n; r < last; r++, sums += kBlock) {
    const __m512i sum = _mm512_sub_epi32(_mm512_load_si512(sums), _mm512_set1_epi32(x.excess[r]));
    const __m512 rate = _mm512_mul_ps(scales, _mm512_set1_ps(x.scale[r]));
    _mm512_mask_storeu_ps(to.of(r, at), kept, _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), rate, bias));
  }
}

// Outputs `begin` to `end`, in groups, of all rows: 32 rows and 32 outputs at a time.
inline void groups_in_blocks(const Place& to, const Matrix& m, const Quantised& x,
                             int64_t rows, int64_t begin, int64_t end) {
  alignas(64) std::int32_t sums[4][kBlock * kBlock];
  shape_blocks();
  for (int64_t g = begin; g < end; g++) {
    for (int64_t half = 0; half < 2; half++) {
      const std::uint8_t* weights = m.group(g) + half * 128;
      const std::uint8_t* next = half ? m.group(g + 1 < end ? g + 1 : g) : weights + 128;
      for (int64_t n = 0; n < rows; n += 2 * kBlock) {
        const std::int8_t* upper = x.values.data() + n * x.stride;
        const std::int8_t* lower = upper + kBlock * x.stride;
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        for (int64_t k = 0; k < m.in; k += kBlockInputs) {
          const std::uint8_t* w = weights + k * kGroup;
          if (n == 0) {  // the processor does not guess these strides
            for (int64_t line = 0; line < kBlockInputs * kGroup; line += kGroup * 4) {
              __builtin_prefetch(next + k * kGroup + line, 0, 3);
              __builtin_prefetch(next + k * kGroup + line + 64, 0, 3);
            }
          }
          _tile_loadd(4, upper + k, x.stride);
          _tile_loadd(5, lower + k, x.stride);
          _tile_loadd(6, w, kGroup * 4);
          _tile_loadd(7, w + 64, kGroup * 4);
          _tile_dpbsud(0, 4, 6);
          _tile_dpbsud(1, 4, 7);
          _tile_dpbsud(2, 5, 6);
          _tile_dpbsud(3, 5, 7);
        }
        _tile_stored(0, sums[0], 64);
        _tile_stored(1, sums[1], 64);
        _tile_stored(2, sums[2], 64);
        _tile_stored(3, sums[3], 64);
        const int64_t at = g * kGroup + half * 2 * kBlock;
        finish_block(to, m, at, x, n, rows, sums[0]);
        finish_block(to, m, at + kBlock, x, n, rows, sums[1]);
        if (n + kBlock >= rows) continue;
        finish_block(to, m, at, x, n + kBlock, rows, sums[2]);
        finish_block(to, m, at + kBlock, x, n + kBlock, rows, sums[3]);
      }
    }
  }
  _tile_release();
}

inline bool in_blocks(const Matrix& m, int64_t rows) {
  return rows >= kManyRows && m.in % kBlockInputs == 0 && has_matrix_unit();
}

#endif

// Outputs `begin` to `end`, in groups, of all rows.
inline void groups(const Place& to, const Matrix& m, const Quantised& x, int64_t rows,
                   int64_t begin, int64_t end) {
#if defined(SEQ2SEQ_MATRIX_UNIT)
  if (in_blocks(m, rows)) {
    groups_in_blocks(to, m, x, rows, begin, end);
    return;
  }
#endif
  const bool far = m.bytes() >= kLarge;
  for (int64_t g = begin; g < end; g++) {
    int64_t n = 0;
    for (; n + Lanes::kRows <= rows; n += Lanes::kRows) {
      tile<Lanes::kRows>(to, m, g, x, n, far && n == 0);
    }
    for (; n < rows; n++) tile<1>(to, m, g, x, n, far && n == 0);
  }
}

// While it lives, the calling thread shares its products with its helpers: if the model is so large
// that this pays, and if nobody else is at work, who would be in each other's way.
class Sharing {
 public:
  explicit Sharing(int64_t bytes) {
    allowed() = team_.at_work++ == 0 && bytes >= kLargeModel;
  }
  ~Sharing() {
    team_.at_work--;
    allowed() = false;
  }
  Sharing(const Sharing&) = delete;
  Sharing& operator=(const Sharing&) = delete;

  // Threads for a product with this matrix.
  static int64_t threads(const Matrix& m) {
    return allowed() && m.bytes() >= kShared ? Team::get().threads() : 1;
  }

 private:
  static bool& allowed() {
    static thread_local bool value = false;
    return value;
  }

  Team& team_ = Team::get();
};

// y (rows, out) = x (rows, in) times the matrix, plus bias.
inline void multiply(float* y, const Matrix& m, const Quantised& x, int64_t rows) {
  if (Sharing::threads(m) < 2) {
    groups({y, m.out}, m, x, rows, 0, m.groups);
    return;
  }
  Team::get().share(m.groups, [&](int64_t begin, int64_t end) {
    groups({y, m.out}, m, x, rows, begin, end);
  });
}

inline void multiply(float* y, const Matrix& m, const float* x, int64_t rows) {
  static thread_local Quantised quantised;
  quantised.read(x, rows, m.in);
  multiply(y, m, quantised, rows);
}

}  // namespace seq2seq
