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
#include "memory.h"
#include "threads.h"

namespace seq2seq {

constexpr int64_t kGroup = 64;        // outputs that are computed together
constexpr int64_t kSide = 4;          // vectors of outputs that are computed side by side
constexpr int64_t kHeader = 16;       // int32 numbers before the arrays
constexpr int64_t kBlock = 16;        // rows and outputs of a block in the processor's matrix unit
constexpr int64_t kBlockInputs = 64;  // inputs of a block
constexpr int64_t kBlocks = 3;        // of rows that it computes together
constexpr int64_t kManyRows = 2;      // rows from which the matrix unit is used
constexpr int64_t kShared = 1 << 17;  // bytes of weights from which threads share a product
constexpr int64_t kLargeModel = 1 << 21;  // bytes of the weights of a step from which it shares
constexpr int64_t kLarge = 1 << 20;   // bytes of weights that come from beyond the near caches
constexpr int64_t kAhead = 2048;      // bytes that are asked for before they are needed

// Outputs whose weights lie side by side: as many as are computed at once.
#if defined(SEQ2SEQ_MATRIX_UNIT)
constexpr int64_t kBeside = kBlock;
#else
constexpr int64_t kBeside = kGroup;
#endif

// A matrix in memory: header (outputs, inputs), scales, biases, and weights + 128 as
// (outputs / kBeside, inputs / 4, kBeside outputs, 4 inputs), all padded with zeros, the outputs to whole
// groups.
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

  // Where the weights of an output begin, of which each four are kBeside * 4 bytes after those before.
  const std::uint8_t* of(int64_t output) const {
    return values + (output / kBeside * quads * kBeside + output % kBeside) * 4;
  }

  // Row `number` of the matrix as floats, as a table of embeddings gives it.
  void row(float* x, int64_t number) const {
    if (number < 0 || number >= out) {
      throw std::out_of_range("row " + std::to_string(number) + " of a table of " +
                              std::to_string(out));
    }
    const std::uint8_t* from = of(number);
    const float rate = scale[number];
    int64_t i = 0;
    for (; i + 4 <= in; i += 4, from += kBeside * 4) {
      for (int64_t j = 0; j < 4; j++) x[i + j] = (static_cast<int>(from[j]) - 128) * rate;
    }
    for (int64_t j = 0; i + j < in; j++) x[i + j] = (static_cast<int>(from[j]) - 128) * rate;
  }
};

// Rows of 8-bit numbers, their scales, and what the 128 in every weight adds to their products.
struct Quantised {
  std::vector<std::int8_t, Unwritten<std::int8_t>> values;
  std::vector<float> scale;
  std::vector<std::int32_t> excess;
  int64_t stride = 0;

  void read(const float* x, int64_t rows, int64_t size) {
    stride = padded(size, 4);
    values.resize(padded(rows, kBlock) * stride);  // blocks are read whole
    scale.resize(rows);
    excess.resize(rows);
    for (int64_t n = 0; n < rows; n++) row(n, x + n * size, size);
  }

 private:
  void row(int64_t n, const float* x, int64_t size) {
    const float largest = largest_magnitude(x, size);
    const float rate = largest > 1e-30f ? 127.0f / largest : 0.0f;
    std::int8_t* to = values.data() + n * stride;
    std::int32_t sum = 0;
    int64_t i = 0;
#if defined(__AVX512BW__)
    __m512i sums = _mm512_setzero_si512();
    const __m512 rates = _mm512_set1_ps(rate);
    const auto round = [&](int64_t at) {
      const __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + at), rates));
      sums = _mm512_add_epi32(sums, q);
      return q;
    };
    // Packing goes by quarters of a vector.
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    for (; i + 64 <= size; i += 64) {
      const __m512i low = _mm512_packs_epi32(round(i), round(i + 16));
      const __m512i high = _mm512_packs_epi32(round(i + 32), round(i + 48));
      const __m512i bytes = _mm512_packs_epi16(low, high);
      _mm512_storeu_si512(to + i, _mm512_permutexvar_epi32(order, bytes));
    }
    sum = _mm512_reduce_add_epi32(sums);
#endif
#pragma omp simd reduction(+ : sum)
    for (int64_t j = i; j < size; j++) {
      const auto q = static_cast<std::int32_t>(std::rint(x[j] * rate));
      to[j] = static_cast<std::int8_t>(q);
      sum += q;
    }
    for (int64_t j = size; j < stride; j++) to[j] = 0;
    scale[n] = largest / 127.0f + largest * 0.0f;  // NaN if there is one, or an infinity
    excess[n] = Lanes::kExcess * sum;
  }

  // NaN if there is one: without their signs, floats are in the order of their bits, NaN above all.
  static float largest_magnitude(const float* x, int64_t size) {
    std::uint32_t largest = 0;
#pragma omp simd reduction(max : largest)
    for (int64_t i = 0; i < size; i++) {
      std::uint32_t bits;
      std::memcpy(&bits, x + i, sizeof(bits));
      bits &= 0x7fffffff;
      largest = bits > largest ? bits : largest;
    }
    float magnitude;
    std::memcpy(&magnitude, &largest, sizeof(magnitude));
    return magnitude;
  }
};

// What becomes of an output: it is stored; or stored as 0 if it is negative; or added to what is there.
// Done at once, as a pass of its own over many rows costs as much as their products.
enum class Then { kStore, kRelu, kAdd };

// Where products go: output `at` of row n to y[n * stride + at - origin].
struct Place {
  float* y;
  int64_t stride, origin = 0;
  Then then = Then::kStore;

  float* of(int64_t n, int64_t at) const { return y + n * stride + at - origin; }
};

// From sums of products to outputs: `count` outputs of row n from `at`.
inline void finish(const Place& to, const Matrix& m, int64_t at, int64_t count, const Quantised& x,
                   int64_t n, std::int32_t excess, const std::int32_t* sums) {
  if (count <= 0) return;
  float* y = to.of(n, at);
  const float *scales = m.scale + at, *bias = m.bias + at, scale = x.scale[n];
  alignas(64) float outputs[kGroup];
#pragma omp simd
  for (int64_t j = 0; j < count; j++) {  // in one rounding, wherever a row is computed
    outputs[j] = std::fma(static_cast<float>(sums[j] - excess), scales[j] * scale, bias[j]);
  }
  if (to.then == Then::kStore) {
    std::memcpy(y, outputs, count * sizeof(float));
  } else if (to.then == Then::kRelu) {
#pragma omp simd
    for (int64_t j = 0; j < count; j++) y[j] = outputs[j] < 0 ? 0 : outputs[j];
  } else {
#pragma omp simd
    for (int64_t j = 0; j < count; j++) y[j] += outputs[j];
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
    const std::uint8_t* w = m.of(g * kGroup + part);
    for (int64_t k = 0; k < m.quads; k++, w += kBeside * 4) {
      Lanes::Weights weights[kSide];
      for (int j = 0; j < kSide; j++) {
        constexpr int64_t kVectors = kBeside / Lanes::kCount;
        const std::uint8_t* from =
            w + j / kVectors * m.quads * kBeside * 4 + j % kVectors * Lanes::kCount * 4;
        weights[j] = Lanes::load(from);
        if (R > 1 && far) __builtin_prefetch(from + kAhead, 0, 2);
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
  struct alignas(64) Shape {
    std::uint8_t palette = 1, start = 0, reserved[14] = {};
    std::uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  };
  static const Shape shape;
  // _tile_loadconfig says of the first eight bytes only that they are read, and GCC leaves the rest out.
  asm volatile("ldtilecfg %0" ::"m"(shape));
}

// Sums of products of up to 48 rows with 16 outputs, and where they belong.
struct Sums {
  alignas(64) std::int32_t values[kBlocks * kBlock][kBlock];
  int64_t first = 0, rows = 0;  // of the rows
  int64_t at = 0;               // the first output
};

// Sums as outputs. As finish(), with the arithmetic of a row in few instructions: for narrow matrices
// it takes as long as the products.
template <Then kThen>
inline void finish_block(const Place& to, const Matrix& m, const Quantised& x, const Sums& sums) {
  const __mmask16 kept = first_lanes(m.out - sums.at);
  const __m512 scales = _mm512_loadu_ps(m.scale + sums.at), bias = _mm512_loadu_ps(m.bias + sums.at);
  const float* rates = x.scale.data() + sums.first;
  const std::int32_t* excesses = x.excess.data() + sums.first;
  float* y = to.of(sums.first, sums.at);
  const int64_t stride = to.stride, rows = sums.rows;
  for (int64_t r = 0; r < rows; r++, y += stride) {
    const __m512i excess = _mm512_set1_epi32(excesses[r]);
    const __m512i sum = _mm512_sub_epi32(_mm512_load_si512(sums.values[r]), excess);
    const __m512 factors = _mm512_mul_ps(scales, _mm512_set1_ps(rates[r]));
    __m512 output = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), factors, bias);
    if (kThen == Then::kRelu) output = _mm512_max_ps(_mm512_setzero_ps(), output);  // keeps a NaN
    if (kThen == Then::kAdd) output = _mm512_add_ps(_mm512_maskz_loadu_ps(kept, y), output);
    _mm512_mask_storeu_ps(y, kept, output);
  }
}

// Sums of 16 outputs from `weights`, and of `kRows` blocks of rows. What is asked for early begins at
// `next`, if anything.
//
// A register that was cleared takes no space in the unit, which at times has little of it (presumably
// while another thread shares the processor): then every register that is cleared once it has been used,
// and every sum less that is held, saves waiting. Measured at such times, four sums at a time that are
// never cleared take twice as long; at others it makes no difference.
template <int kRows>
inline void multiply_block(const std::int8_t* rows, int64_t stride, const std::uint8_t* weights,
                           int64_t size, const std::uint8_t* next) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  for (int64_t k = 0; k < size; k += kBlockInputs) {
    if (kRows > 1 && next != nullptr) {  // with less work between them, its own guesses are as early
      for (int64_t line = 0; line < kBlockInputs * kBeside; line += 64) {
        __builtin_prefetch(next + k * kBeside + line, 0, 3);
      }
    }
    _tile_loadd(3, weights + k * kBeside, kBeside * 4);
    _tile_loadd(4, rows + k, stride);
    _tile_dpbsud(0, 4, 3);
    _tile_zero(4);
    if (kRows > 1) {
      _tile_loadd(5, rows + kBlock * stride + k, stride);
      _tile_dpbsud(1, 5, 3);
      _tile_zero(5);
    }
    if (kRows > 2) {
      _tile_loadd(6, rows + 2 * kBlock * stride + k, stride);
      _tile_dpbsud(2, 6, 3);
      _tile_zero(6);
    }
    _tile_zero(3);
  }
}

// Outputs `begin` to `end`, in groups, of all rows: 16 outputs of 48 rows at a time. While the matrix unit
// works on sums, those before become outputs.
template <Then kThen>
inline void groups_in_blocks(const Place& to, const Matrix& m, const Quantised& x, int64_t rows,
                             int64_t begin, int64_t end) {
  Sums sums[2];
  int64_t turn = 0;
  shape_blocks();
  for (int64_t at = begin * kGroup; at < end * kGroup; at += kBlock) {
    const std::uint8_t* weights = m.of(at);
    const std::uint8_t* next = at + kBlock < end * kGroup ? m.of(at + kBlock) : nullptr;
    for (int64_t n = 0; n < rows; n += kBlocks * kBlock, turn ^= 1, next = nullptr) {
      const std::int8_t* block = x.values.data() + n * x.stride;
      const int64_t left = rows - n;
      if (left > 2 * kBlock) {
        multiply_block<3>(block, x.stride, weights, m.in, next);
      } else if (left > kBlock) {
        multiply_block<2>(block, x.stride, weights, m.in, next);
      } else {
        multiply_block<1>(block, x.stride, weights, m.in, next);
      }
      finish_block<kThen>(to, m, x, sums[turn ^ 1]);
      Sums& fresh = sums[turn];
      _tile_stored(0, fresh.values[0], sizeof(fresh.values[0]));
      if (left > kBlock) _tile_stored(1, fresh.values[kBlock], sizeof(fresh.values[0]));
      if (left > 2 * kBlock) _tile_stored(2, fresh.values[2 * kBlock], sizeof(fresh.values[0]));
      fresh.first = n, fresh.rows = std::min(left, kBlocks * kBlock), fresh.at = at;
    }
  }
  finish_block<kThen>(to, m, x, sums[turn ^ 1]);
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
    switch (to.then) {
      case Then::kStore:
        return groups_in_blocks<Then::kStore>(to, m, x, rows, begin, end);
      case Then::kRelu:
        return groups_in_blocks<Then::kRelu>(to, m, x, rows, begin, end);
      case Then::kAdd:
        return groups_in_blocks<Then::kAdd>(to, m, x, rows, begin, end);
    }
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

// y (rows, out) = x (rows, in) times the matrix, plus bias; or what `then` says.
inline void multiply(float* y, const Matrix& m, const Quantised& x, int64_t rows,
                     Then then = Then::kStore) {
  const Place to{y, m.out, 0, then};
  if (Sharing::threads(m) < 2) {
    groups(to, m, x, rows, 0, m.groups);
    return;
  }
  Team::get().share(m.groups, [&](int64_t begin, int64_t end) {
    groups(to, m, x, rows, begin, end);
  });
}

inline void multiply(float* y, const Matrix& m, const float* x, int64_t rows,
                     Then then = Then::kStore) {
  static thread_local Quantised quantised;
  quantised.read(x, rows, m.in);
  multiply(y, m, quantised, rows, then);
}

}  // namespace seq2seq
