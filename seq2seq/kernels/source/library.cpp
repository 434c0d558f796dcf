// The operators, as PyTorch knows them: torch.ops.seq2seq.
//
// Built on PyTorch's stable interface, so that nothing but its small headers is compiled. Shapes and
// types are the business of the Python side, seq2seq/inference.

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <tuple>
#include <vector>

#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/library.h>

#include "int8.h"
#include "math.h"
#include "readout.h"
#include "recurrent.h"
#include "transformer.h"

namespace {

using seq2seq::Matrix;
using std::int32_t;
using std::int64_t;
using torch::stable::Tensor;

const float* floats(const Tensor& tensor) {
  return static_cast<const float*>(tensor.const_data_ptr());
}

float* writable(const Tensor& tensor) { return static_cast<float*>(tensor.mutable_data_ptr()); }

const int64_t* integers(const Tensor& tensor) {
  return static_cast<const int64_t*>(tensor.const_data_ptr());
}

// A tensor with nothing in it yet, by the shortest way.
template <size_t N>
Tensor fresh(const int64_t (&sizes)[N], int32_t dtype) {
  int64_t strides[N];
  for (int64_t n = N - 1, stride = 1; n >= 0; n--) strides[n] = stride, stride *= sizes[n];
  AtenTensorHandle handle = nullptr;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_empty_strided(
      N, sizes, strides, dtype, aoti_torch_device_type_cpu(), -1, &handle));
  return Tensor(handle);
}

template <size_t N>
Tensor fresh_floats(const int64_t (&sizes)[N]) {
  return fresh(sizes, aoti_torch_dtype_float32());
}

template <size_t N>
Tensor fresh_integers(const int64_t (&sizes)[N]) {
  return fresh(sizes, aoti_torch_dtype_int64());
}

template <size_t N>
Tensor zeros(const int64_t (&sizes)[N]) {
  Tensor tensor = fresh_floats(sizes);
  std::fill(writable(tensor), writable(tensor) + tensor.numel(), 0.0f);
  return tensor;
}

Tensor pack(const Tensor& values, const Tensor& scale, const std::optional<Tensor>& bias) {
  const int64_t out = values.size(0), in = values.size(1);
  Tensor packed = fresh({Matrix::memory(out, in)}, aoti_torch_dtype_uint8());
  std::memset(packed.mutable_data_ptr(), 0, packed.numel());
  auto* header = static_cast<int32_t*>(packed.mutable_data_ptr());
  header[0] = static_cast<int32_t>(out), header[1] = static_cast<int32_t>(in);
  const Matrix matrix(header);
  auto* scales = const_cast<float*>(matrix.scale);
  auto* biases = const_cast<float*>(matrix.bias);
  std::copy(floats(scale), floats(scale) + out, scales);
  if (bias) std::copy(floats(*bias), floats(*bias) + out, biases);
  const auto* from = static_cast<const std::int8_t*>(values.const_data_ptr());
  for (int64_t g = 0; g < matrix.groups; g++) {
    auto* to = const_cast<std::uint8_t*>(matrix.group(g));
    for (int64_t k = 0; k < 4 * matrix.quads; k++) {
      for (int64_t j = 0; j < seq2seq::kGroup; j++) {
        const int64_t row = g * seq2seq::kGroup + j;
        const int value = row < out && k < in ? from[row * in + k] : 0;
        to[k / 4 * seq2seq::kGroup * 4 + j * 4 + k % 4] = static_cast<std::uint8_t>(value + 128);
      }
    }
  }
  return packed;
}

Tensor linear(const Tensor& x, const Tensor& packed) {
  const Matrix matrix(packed);
  const int64_t rows = x.size(0);
  Tensor y = fresh_floats({rows, matrix.out});
  seq2seq::multiply(writable(y), matrix, floats(x), rows);
  return y;
}

Tensor lookup(const Tensor& ids, const Tensor& packed) {
  const Matrix matrix(packed);
  const int64_t rows = ids.size(0);
  Tensor x = fresh_floats({rows, matrix.in});
  for (int64_t n = 0; n < rows; n++) matrix.row(writable(x) + n * matrix.in, integers(ids)[n]);
  return x;
}

// What a step gives: logits (rows, vocabulary), or with a `count` the largest log-probabilities, their
// tokens and the entropies; what propose() makes of these, if there are bounds; and the attention.
using Step = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;
using CachedStep = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

struct Results {
  Tensor values, tokens, entropy;

  Results(int64_t rows, int64_t size, int64_t count)
      : values(fresh_floats({rows, count ? count : size})),
        tokens(fresh_integers({rows, count})),
        entropy(fresh_floats({count ? rows : 0})),
        count_(count) {}

  seq2seq::Largest largest() const {
    return {writable(values), static_cast<int64_t*>(tokens.mutable_data_ptr()), writable(entropy),
            count_};
  }

  seq2seq::Output output() const {
    return count_ ? seq2seq::Output{nullptr, largest()} : seq2seq::Output{writable(values), {}};
  }

 private:
  int64_t count_;
};

std::tuple<Tensor, Tensor, Tensor> largest(const Tensor& logits, int64_t count) {
  const int64_t rows = logits.size(0), size = logits.size(1);
  const Results results(rows, size, count);
  seq2seq::read_rows(results.largest(), floats(logits), rows, size);
  return {results.values, results.tokens, results.entropy};
}

// For every sentence (rows bounds[s] to bounds[s + 1]) the `count` continuations with the highest sum
// of base and log-probability, the first of equals first: (sentences, 3, count) slots, tokens and
// ranks, of which a slot of -1 is none, and (sentences, count) log-probabilities. `values` fall along
// each row. `ends` tells where the barred tokens of each row end; empty if they are the same for all.
// Nothing, of no sentence, if any row is not of numbers, or if there are no bounds.
std::tuple<Tensor, Tensor> propose(const Tensor& values, const Tensor& tokens,
                                   std::vector<double> bases, std::vector<int64_t> bounds,
                                   std::vector<int64_t> barred, std::vector<int64_t> ends,
                                   int64_t count) {
  const int64_t width = values.size(1);
  int64_t sentences = bounds.empty() ? 0 : static_cast<int64_t>(bounds.size()) - 1;
  for (int64_t row = 0; sentences && row < values.size(0); row++) {
    if (std::isnan(floats(values)[row * width])) sentences = 0;
  }
  Tensor found = fresh_integers({sentences, 3, count}), scores = fresh_floats({sentences, count});
  auto* slots = static_cast<int64_t*>(found.mutable_data_ptr());
  auto* score_of = writable(scores);
  std::vector<int64_t> next;
  for (int64_t s = 0; s < sentences; s++, slots += 3 * count) {
    const int64_t first = bounds[s], rows = bounds[s + 1] - first;
    next.assign(rows, 0);
    // The next piece of a row that may follow; the row's width if there is none.
    const auto advance = [&](int64_t slot) {
      const int64_t row = first + slot;
      const int64_t begin = ends.empty() || row == 0 ? 0 : ends[row - 1];
      const int64_t end = ends.empty() ? static_cast<int64_t>(barred.size()) : ends[row];
      int64_t& k = next[slot];
      for (; k < width; k++) {
        if (floats(values)[row * width + k] == -std::numeric_limits<float>::infinity()) k = width;
        if (k == width) break;
        const auto* from = barred.data() + begin;
        const auto* to = barred.data() + end;
        if (std::find(from, to, integers(tokens)[row * width + k]) == to) break;
      }
    };
    for (int64_t slot = 0; slot < rows; slot++) advance(slot);
    for (int64_t n = 0; n < count; n++, score_of++) {
      int64_t best = -1;
      double highest = 0;
      for (int64_t slot = 0; slot < rows; slot++) {
        if (next[slot] >= width) continue;
        const double score =
            bases[first + slot] + floats(values)[(first + slot) * width + next[slot]];
        if (best < 0 || score > highest) best = slot, highest = score;
      }
      slots[n] = best;
      if (best < 0) continue;
      const int64_t from = (first + best) * width + next[best];
      slots[count + n] = integers(tokens)[from], slots[2 * count + n] = ++next[best];
      *score_of = floats(values)[from];
      advance(best);
    }
  }
  return {found, scores};
}

// Each row's sentence and entries of the cache, with the one that a step gives it: entry `used + n` to
// row n, which grew from row order[n], or from row n if there is no order.
Tensor grown(const Tensor& paths, const std::optional<Tensor>& order, int64_t used, int64_t rows) {
  const int64_t length = paths.size(1);
  STD_TORCH_CHECK(!order || order->size(0) == rows, "an order of other rows than the tokens'");
  Tensor longer = fresh({rows, length + 1}, aoti_torch_dtype_int32());
  const auto* path = static_cast<const int32_t*>(paths.const_data_ptr());
  auto* to = static_cast<int32_t*>(longer.mutable_data_ptr());
  for (int64_t n = 0; n < rows; n++, to += length + 1) {
    const int64_t row = order ? integers(*order)[n] : n;
    STD_TORCH_CHECK(row >= 0 && row < paths.size(0), "row ", row, " of ", paths.size(0));
    const auto* from = path + row * length;
    std::copy(from, from + length, to);
    to[length] = static_cast<int32_t>(used + n);
  }
  return longer;
}

Tensor encode_transformer(const Tensor& pieces, const Tensor& starts, std::vector<int64_t> plan,
                          std::vector<Tensor> weights) {
  const seq2seq::TransformerPlan read(plan, Matrix(weights[0]).in);
  const std::vector<int64_t> bounds(integers(starts), integers(starts) + starts.size(0));
  Tensor states = fresh_floats({bounds.back(), read.width});
  const seq2seq::Sharing sharing(weights);
  seq2seq::encode_transformer(writable(states), integers(pieces), bounds, read, weights);
  return states;
}

// With the next step's `paths`.
CachedStep step_transformer(const Tensor& tokens, const Tensor& cache, int64_t used,
                            const Tensor& paths, const std::optional<Tensor>& order,
                            const Tensor& starts, int64_t source, int64_t count, std::vector<double> bases,
                            std::vector<int64_t> bounds, std::vector<int64_t> barred,
                            std::vector<int64_t> ends, int64_t wanted, std::vector<Tensor> memory,
                            std::vector<int64_t> plan, std::vector<Tensor> weights) {
  const seq2seq::TransformerPlan read(plan, Matrix(weights[0]).in);
  const int64_t rows = tokens.size(0);
  const Results results(rows, Matrix(weights.back()).out, count);
  Tensor attention = zeros({rows, read.layers, read.heads, source});
  const Tensor longer = grown(paths, order, used, rows);
  const seq2seq::TransformerPast past{writable(cache),
                                      static_cast<const int32_t*>(longer.const_data_ptr()),
                                      paths.size(1) - 1, integers(starts), source};
  const seq2seq::Sharing sharing(weights);
  seq2seq::step_transformer(results.output(), writable(attention), integers(tokens), rows, past,
                            read, memory, weights);
  const auto [found, scores] =
      propose(results.values, results.tokens, bases, bounds, barred, ends, wanted);
  return {results.values, results.tokens, results.entropy, found, scores, attention, longer};
}

void read_layer(const Tensor& states, const Tensor& hidden, const std::optional<Tensor>& cell,
                const Tensor& x, const Tensor& lengths, int64_t offset, bool backward,
                const Tensor& input, const Tensor& recurrent) {
  seq2seq::read_layer(writable(states) + offset, states.size(2), writable(hidden),
                      cell ? writable(*cell) : nullptr, floats(x), x.size(0), x.size(1),
                      integers(lengths), backward, Matrix(input), Matrix(recurrent));
}

Step step_recurrent(const Tensor& tokens, const Tensor& hidden, const std::optional<Tensor>& cell,
                    const std::optional<Tensor>& feed, const Tensor& sentence,
                    const Tensor& lengths, const std::optional<Tensor>& keys,
                    const std::optional<Tensor>& values, int64_t count,
                    std::vector<double> bases, std::vector<int64_t> bounds,
                    std::vector<int64_t> barred, std::vector<int64_t> ends, int64_t wanted,
                    std::vector<int64_t> plan, std::vector<Tensor> weights) {
  const seq2seq::RecurrentPlan read(plan);
  const int64_t rows = tokens.size(0), source = keys ? keys->size(1) : 0;
  const Results results(rows, Matrix(weights.back()).out, count);
  Tensor attention = zeros({rows, 1, 1, source});
  const seq2seq::RecurrentPast past{writable(hidden),
                                    cell ? writable(*cell) : nullptr,
                                    feed ? writable(*feed) : nullptr,
                                    integers(sentence),
                                    integers(lengths),
                                    source,
                                    keys ? floats(*keys) : nullptr,
                                    values ? floats(*values) : nullptr,
                                    keys ? keys->size(2) : 0,
                                    values ? values->size(2) : 0};
  const seq2seq::Sharing sharing(weights);
  seq2seq::step_recurrent(results.output(), writable(attention), integers(tokens), rows, past,
                          read, weights);
  const auto [found, scores] =
      propose(results.values, results.tokens, bases, bounds, barred, ends, wanted);
  return {results.values, results.tokens, results.entropy, found, scores, attention};
}

}  // namespace

STABLE_TORCH_LIBRARY(seq2seq, library) {
  library.def("pack(Tensor values, Tensor scale, Tensor? bias) -> Tensor");
  library.def("linear(Tensor x, Tensor packed) -> Tensor");
  library.def("lookup(Tensor ids, Tensor packed) -> Tensor");
  library.def("largest(Tensor logits, int count) -> (Tensor, Tensor, Tensor)");
  library.def(
      "propose(Tensor values, Tensor tokens, float[] bases, int[] bounds, int[] barred, int[] ends, "
      "int count) -> (Tensor, Tensor)");
  library.def(
      "encode_transformer(Tensor pieces, Tensor starts, int[] plan, Tensor[] weights) -> Tensor");
  library.def(
      "step_transformer(Tensor tokens, Tensor(a!) cache, int used, Tensor paths, "
      "Tensor? order, Tensor starts, int source, int count, float[] bases, int[] bounds, "
      "int[] barred, int[] ends, int wanted, Tensor[] memory, int[] plan, Tensor[] weights) -> "
      "(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)");
  library.def(
      "read_layer(Tensor(a!) states, Tensor(b!) hidden, Tensor(c!)? cell, Tensor x, "
      "Tensor lengths, int offset, bool backward, Tensor input, Tensor recurrent) -> ()");
  library.def(
      "step_recurrent(Tensor tokens, Tensor(a!) hidden, Tensor(b!)? cell, Tensor(c!)? feed, "
      "Tensor sentence, Tensor lengths, Tensor? keys, Tensor? values, int count, float[] bases, "
      "int[] bounds, int[] barred, int[] ends, int wanted, int[] plan, Tensor[] weights) -> "
      "(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(seq2seq, CPU, library) {
  library.impl("pack", TORCH_BOX(&pack));
  library.impl("linear", TORCH_BOX(&linear));
  library.impl("lookup", TORCH_BOX(&lookup));
  library.impl("largest", TORCH_BOX(&largest));
  library.impl("propose", TORCH_BOX(&propose));
  library.impl("encode_transformer", TORCH_BOX(&encode_transformer));
  library.impl("step_transformer", TORCH_BOX(&step_transformer));
  library.impl("read_layer", TORCH_BOX(&read_layer));
  library.impl("step_recurrent", TORCH_BOX(&step_recurrent));
}
