// The operators as C functions, for seq2seq/kernels/calls.py.
//
// Numbers and addresses come in one record of 64-bit fields for each operator, in the order of its
// struct; shapes and types are the business of the Python side. A function gives 0, or 1 where
// something is wrong, which seq2seq_error() tells.

#include <algorithm>
#include <cmath>
#include <exception>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "int8.h"
#include "math.h"
#include "readout.h"
#include "recurrent.h"
#include "transformer.h"

namespace {

using seq2seq::Matrix;
using std::int32_t;
using std::int64_t;

std::string& last_error() {
  static thread_local std::string message;
  return message;
}

template <class Work>
int guarded(const Work& work) {
  try {
    work();
    return 0;
  } catch (const std::exception& error) {
    last_error() = error.what();
  } catch (...) {
    last_error() = "unknown";
  }
  return 1;
}

// One side of a model: bytes of its weights, what holds for all layers, and where the weights are.
struct Side {
  int64_t bytes, plan[8];
  const void* weights[1];  // as many as there are
};

// What a step reads off its logits: all of them (rows, vocabulary) into `values` if `count` is 0, else
// the largest log-probabilities and their tokens (rows, count), and the entropies (rows,).
struct Readout {
  float* values;
  int64_t* tokens;
  float* entropy;
  int64_t count;

  seq2seq::Output output() const {
    return count ? seq2seq::Output{nullptr, {values, tokens, entropy, count}}
                 : seq2seq::Output{values, {}};
  }
};

// Which continuations of several sentences' rows are the best: for every sentence (rows bounds[s] to
// bounds[s + 1]) the `count` with the highest sum of base and log-probability, the first of equals
// first: (sentences, 3, count) slots, tokens and ranks, of which a slot of -1 is none, and (sentences,
// count) log-probabilities. `ends` tells where the barred tokens of each row end; null if they are the
// same for all. `finite` becomes 0 if a row is not of numbers; then nothing is compared.
struct Comparison {
  const double* bases;
  const int64_t *bounds, sentences, *barred, barred_count, *ends, count;
  int64_t *found, *finite;
  float* scores;

  // `values` fall along each row.
  void make(const float* values, const int64_t* tokens, int64_t width) const {
    if (!sentences) return;
    *finite = 1;
    for (int64_t row = 0; row < bounds[sentences]; row++) {
      if (std::isnan(values[row * width])) *finite = 0;
    }
    if (!*finite) return;
    auto* slots = found;
    auto* score_of = scores;
    std::vector<int64_t> next;
    for (int64_t s = 0; s < sentences; s++, slots += 3 * count) {
      const int64_t first = bounds[s], rows = bounds[s + 1] - first;
      next.assign(rows, 0);
      // The next piece of a row that may follow; the row's width if there is none.
      const auto advance = [&](int64_t slot) {
        const int64_t row = first + slot;
        const int64_t begin = ends == nullptr || row == 0 ? 0 : ends[row - 1];
        const int64_t end = ends == nullptr ? barred_count : ends[row];
        int64_t& k = next[slot];
        for (; k < width; k++) {
          if (values[row * width + k] == -std::numeric_limits<float>::infinity()) k = width;
          if (k == width) break;
          if (std::find(barred + begin, barred + end, tokens[row * width + k]) == barred + end) break;
        }
      };
      for (int64_t slot = 0; slot < rows; slot++) advance(slot);
      for (int64_t n = 0; n < count; n++, score_of++) {
        int64_t best = -1;
        double highest = 0;
        for (int64_t slot = 0; slot < rows; slot++) {
          if (next[slot] >= width) continue;
          const double score = bases[first + slot] + values[(first + slot) * width + next[slot]];
          if (best < 0 || score > highest) best = slot, highest = score;
        }
        slots[n] = best;
        if (best < 0) continue;
        const int64_t from = (first + best) * width + next[best];
        slots[count + n] = tokens[from], slots[2 * count + n] = ++next[best];
        *score_of = values[from];
        advance(best);
      }
    }
  }
};

// Rows of weights (rows, in) from row `first` of a matrix whose memory was zero.
struct Pack {
  void* packed;
  int64_t out, in, first, rows;
  const std::int8_t* values;
  const float *scale, *bias;

  void run() const {
    auto* header = static_cast<int32_t*>(packed);
    header[0] = static_cast<int32_t>(out), header[1] = static_cast<int32_t>(in);
    const Matrix matrix(header);
    auto* scales = const_cast<float*>(matrix.scale);
    auto* biases = const_cast<float*>(matrix.bias);
    if (first == 0) {  // a weight of 0, where there is none
      for (int64_t g = 0; g < matrix.groups; g++) {
        auto* group = const_cast<std::uint8_t*>(matrix.of(g * seq2seq::kGroup));
        if (out - g * seq2seq::kGroup >= seq2seq::kGroup && in % 4 == 0) continue;
        std::fill(group, group + matrix.quads * seq2seq::kGroup * 4, std::uint8_t{128});
      }
    }
    for (int64_t n = 0; n < rows; n++) {
      const int64_t row = first + n;
      scales[row] = scale[n];
      if (bias != nullptr) biases[row] = bias[n];
      auto* to = const_cast<std::uint8_t*>(matrix.of(row));
      const auto* from = values + n * in;
      int64_t k = 0;
      for (; k + 4 <= in; k += 4) {  // four at a time: adding 128 turns the highest bit
        std::uint32_t quad;
        std::memcpy(&quad, from + k, 4);
        quad ^= 0x80808080u;
        std::memcpy(to + k * seq2seq::kBeside, &quad, 4);
      }
      for (; k < in; k++) {
        to[k / 4 * seq2seq::kBeside * 4 + k % 4] = static_cast<std::uint8_t>(from[k] + 128);
      }
    }
  }
};

struct Linear {
  float* y;
  const float* x;
  int64_t rows;
  const void* packed;

  void run() const { seq2seq::multiply(y, Matrix(packed), x, rows); }
};

struct Lookup {
  float* x;
  const int64_t* ids;
  int64_t count;
  const void* packed;

  void run() const {
    const Matrix matrix(packed);
    for (int64_t n = 0; n < count; n++) matrix.row(x + n * matrix.in, ids[n]);
  }
};

struct ReadLargest {
  const float* logits;
  int64_t rows, size;
  Readout readout;

  void run() const {
    seq2seq::read_rows({readout.values, readout.tokens, readout.entropy, readout.count}, logits, rows,
                       size);
  }
};

struct Propose {
  const float* values;
  const int64_t* tokens;
  int64_t width;
  Comparison comparison;

  void run() const { comparison.make(values, tokens, width); }
};

// Keys and values of the source's pieces for every layer of the decoder, (layers, pieces, 2 * width).
// After the encoder's weights come the matrices that make them.
struct EncodeTransformer {
  const Side* side;
  float* pairs;
  const int64_t *pieces, *starts, sentences, layers;

  void run() const {
    const seq2seq::TransformerPlan plan(side->plan, Matrix(side->weights[0]).in);
    const int64_t rows = starts[sentences];
    const void* const* memory = side->weights + 2 + 5 * plan.layers + (plan.norm_first ? 1 : 0);
    seq2seq::Floats states(rows * plan.width);
    const seq2seq::Sharing sharing(side->bytes);
    seq2seq::encode_transformer(states.data(), pieces, starts, sentences, plan, side->weights);
    for (int64_t layer = 0; layer < layers; layer++) {
      seq2seq::multiply(pairs + layer * rows * 2 * plan.width, Matrix(memory[layer]), states.data(),
                        rows);
    }
  }
};

// `longer` becomes the next step's paths (rows, length + 2): each row's sentence and entries of the
// cache, with the one that this step gives it: entry `used + n` to row n, which grew from row order[n]
// of `paths` (path_rows, length + 1), or from row n if there is no order.
struct StepTransformer {
  const Side* side;
  const int64_t *tokens, rows;
  float* cache;
  const int64_t used;
  const int32_t* paths;
  const int64_t path_rows, length, *order;
  int32_t* longer;
  const int64_t *starts, source;
  const float* pairs;
  const int64_t pieces;
  float* attention;
  Readout readout;
  Comparison comparison;

  void run() const {
    const seq2seq::TransformerPlan plan(side->plan, Matrix(side->weights[0]).in);
    grow();
    std::fill(attention, attention + rows * plan.layers * plan.heads * source, 0.0f);
    const seq2seq::TransformerPast past{cache, longer, length, starts, source, pairs, pieces};
    const seq2seq::Sharing sharing(side->bytes);
    seq2seq::step_transformer(readout.output(), attention, tokens, rows, past, plan, side->weights);
    comparison.make(readout.values, readout.tokens, readout.count);
  }

 private:
  void grow() const {
    for (int64_t n = 0; n < rows; n++) {
      const int64_t row = order == nullptr ? n : order[n];
      if (row < 0 || row >= path_rows) {
        throw std::out_of_range("row " + std::to_string(row) + " of " + std::to_string(path_rows));
      }
      const auto* from = paths + row * (length + 1);
      auto* to = longer + n * (length + 2);
      std::copy(from, from + length + 1, to);
      to[length + 1] = static_cast<int32_t>(used + n);
    }
  }
};

struct ReadLayer {
  float* states;
  int64_t stride;
  float *hidden, *cell;
  const float* x;
  int64_t rows, length;
  const int64_t *lengths, backward;
  const void *input, *recurrent;

  void run() const {
    seq2seq::read_layer(states, stride, hidden, cell, x, rows, length, lengths, backward != 0,
                        Matrix(input), Matrix(recurrent));
  }
};

// `hidden`, `cell` and `feed` become the next.
struct StepRecurrent {
  const Side* side;
  const int64_t *tokens, rows;
  float *hidden, *cell, *feed;
  const int64_t *sentence, *lengths, source;
  const float *keys, *values;
  int64_t key_width, value_width;
  float* attention;
  Readout readout;
  Comparison comparison;

  void run() const {
    const seq2seq::RecurrentPlan plan(side->plan);
    std::fill(attention, attention + rows * source, 0.0f);
    const seq2seq::RecurrentPast past{hidden, cell, feed, sentence, lengths, source,
                                      keys, values, key_width, value_width};
    const seq2seq::Sharing sharing(side->bytes);
    seq2seq::step_recurrent(readout.output(), attention, tokens, rows, past, plan, side->weights);
    comparison.make(readout.values, readout.tokens, readout.count);
  }
};

template <class Record>
int run(const void* record) {
  static_assert(sizeof(Record) % 8 == 0, "fields of 64 bits");
  return guarded([&] { static_cast<const Record*>(record)->run(); });
}

}  // namespace

#define SEQ2SEQ_PUBLIC extern "C" __attribute__((visibility("default")))

SEQ2SEQ_PUBLIC const char* seq2seq_error() { return last_error().c_str(); }
SEQ2SEQ_PUBLIC int64_t seq2seq_threads() { return seq2seq::Team::get().threads(); }
SEQ2SEQ_PUBLIC void seq2seq_set_threads(int64_t count) { seq2seq::Team::get().set_threads(count); }
SEQ2SEQ_PUBLIC int64_t seq2seq_bytes(int64_t out, int64_t in) { return Matrix::memory(out, in); }
SEQ2SEQ_PUBLIC int seq2seq_pack(const void* record) { return run<Pack>(record); }
SEQ2SEQ_PUBLIC int seq2seq_linear(const void* record) { return run<Linear>(record); }
SEQ2SEQ_PUBLIC int seq2seq_lookup(const void* record) { return run<Lookup>(record); }
SEQ2SEQ_PUBLIC int seq2seq_largest(const void* record) { return run<ReadLargest>(record); }
SEQ2SEQ_PUBLIC int seq2seq_propose(const void* record) { return run<Propose>(record); }
SEQ2SEQ_PUBLIC int seq2seq_encode_transformer(const void* record) {
  return run<EncodeTransformer>(record);
}
SEQ2SEQ_PUBLIC int seq2seq_step_transformer(const void* record) {
  return run<StepTransformer>(record);
}
SEQ2SEQ_PUBLIC int seq2seq_read_layer(const void* record) { return run<ReadLayer>(record); }
SEQ2SEQ_PUBLIC int seq2seq_step_recurrent(const void* record) { return run<StepRecurrent>(record); }
