// Sums of products of bytes, several outputs side by side, with what the processor has for them.
#pragma once

#include <cstdint>
#include <cstring>

#if !defined(__AVX512VNNI__) && !defined(__AVXVNNI__) && !defined(__AVX2__)
#error "the processor has none of AVX-512 VNNI, AVX-VNNI and AVX2"
#endif
#include <immintrin.h>

namespace seq2seq {

// A lane holds the sum of one output. Its weights come as four bytes w + 128, the input as four
// bytes x of which -128 is none; `kExcess` * x is what a product adds too much.
#if defined(__AVX512VNNI__)

struct Lanes {
  static constexpr int kCount = 16, kRows = 4, kExcess = 128;
  __m512i sums = _mm512_setzero_si512();

  using Weights = __m512i;
  using Input = __m512i;
  static Weights load(const void* from) { return _mm512_loadu_si512(from); }
  static Input spread(std::int32_t quad) { return _mm512_set1_epi32(quad); }
  void add(Weights w, Input x) { sums = _mm512_dpbusd_epi32(sums, w, x); }
  void store(std::int32_t* to) const { _mm512_storeu_si512(to, sums); }
};

#else

struct Lanes {
  static constexpr int kCount = 8, kRows = 2;
  __m256i sums = _mm256_setzero_si256();

  using Weights = __m256i;
  using Input = __m256i;
  static Input spread(std::int32_t quad) { return _mm256_set1_epi32(quad); }
  void store(std::int32_t* to) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), sums);
  }
#if defined(__AVXVNNI__)
  static constexpr int kExcess = 128;
  static Weights load(const void* from) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(from));
  }
  void add(Weights w, Input x) { sums = _mm256_dpbusd_avx_epi32(sums, w, x); }
#else
  static constexpr int kExcess = 0;
  static Weights load(const void* from) {
    return _mm256_xor_si256(_mm256_loadu_si256(static_cast<const __m256i*>(from)),
                            _mm256_set1_epi8(-128));
  }
  // Pairs are added up in 16 bits, which two products of at most 127 * 127 fit into.
  void add(Weights w, Input x) {
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(w, x));
    sums = _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
#endif
};

#endif

}  // namespace seq2seq
