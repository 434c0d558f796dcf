// The operators, as PyTorch knows them: torch.ops.seq2seq.
//
// Built on PyTorch's stable interface, so that nothing but its small headers is compiled. Shapes and
// types are the business of the Python side, seq2seq/kernels/operators.py.

#include <optional>
#include <tuple>
#include <vector>

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
using torch::headeronly::ScalarType;
using torch::stable::Tensor;

const float* floats(const Tensor& tensor) {
  return static_cast<const float*>(tensor.const_data_ptr());
}

float* writable(const Tensor& tensor) { return static_cast<float*>(tensor.mutable_data_ptr()); }

const int64_t* integers(const Tensor& tensor) {
  return static_cast<const int64_t*>(tensor.const_data_ptr());
}

Tensor pack(const Tensor& values, const Tensor& scale, const std::optional<Tensor>& bias) {
  const int64_t out = values.size(0), in = values.size(1);
  Tensor packed =
      torch::stable::new_zeros(values, {Matrix::memory(out, in)}, ScalarType::Byte);
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
  Tensor y = torch::stable::new_empty(x, {rows, matrix.out});
  seq2seq::multiply(writable(y), matrix, floats(x), rows);
  return y;
}

Tensor lookup(const Tensor& ids, const Tensor& packed) {
  const Matrix matrix(packed);
  const int64_t rows = ids.size(0);
  Tensor x = torch::stable::new_empty(ids, {rows, matrix.in}, ScalarType::Float);
  for (int64_t n = 0; n < rows; n++) matrix.row(writable(x) + n * matrix.in, integers(ids)[n]);
  return x;
}

std::tuple<Tensor, Tensor, Tensor> largest(const Tensor& logits, int64_t count) {
  const int64_t rows = logits.size(0), size = logits.size(1);
  Tensor values = torch::stable::new_empty(logits, {rows, count});
  Tensor tokens = torch::stable::new_empty(logits, {rows, count}, ScalarType::Long);
  Tensor entropy = torch::stable::new_empty(logits, {rows});
  auto* ids = static_cast<int64_t*>(tokens.mutable_data_ptr());
  for (int64_t n = 0; n < rows; n++) {
    writable(entropy)[n] = seq2seq::read_row(writable(values) + n * count, ids + n * count,
                                             floats(logits) + n * size, size, count);
  }
  return {values, tokens, entropy};
}

Tensor encode_transformer(const Tensor& pieces, const Tensor& starts, std::vector<int64_t> plan,
                          std::vector<Tensor> weights) {
  const seq2seq::TransformerPlan read(plan, Matrix(weights[0]).in);
  const std::vector<int64_t> bounds(integers(starts), integers(starts) + starts.size(0));
  Tensor states = torch::stable::new_empty(pieces, {bounds.back(), read.width}, ScalarType::Float);
  seq2seq::encode_transformer(writable(states), integers(pieces), bounds, read, weights);
  return states;
}

std::tuple<Tensor, Tensor> step_transformer(const Tensor& tokens, const Tensor& cache, int64_t used,
                                            const Tensor& ancestors, const Tensor& sentence,
                                            const Tensor& starts, int64_t source,
                                            std::vector<Tensor> memory, std::vector<int64_t> plan,
                                            std::vector<Tensor> weights) {
  const seq2seq::TransformerPlan read(plan, Matrix(weights[0]).in);
  const int64_t rows = tokens.size(0);
  Tensor logits = torch::stable::new_empty(cache, {rows, Matrix(weights.back()).out});
  Tensor attention =
      torch::stable::new_zeros(cache, {rows, read.layers, read.heads, source});
  const seq2seq::TransformerPast past{writable(cache),
                                      used,
                                      static_cast<const int32_t*>(ancestors.const_data_ptr()),
                                      ancestors.size(1),
                                      integers(sentence),
                                      integers(starts),
                                      source};
  seq2seq::step_transformer(writable(logits), writable(attention), integers(tokens), rows, past,
                            read, memory, weights);
  return {logits, attention};
}

void read_layer(const Tensor& states, const Tensor& hidden, const std::optional<Tensor>& cell,
                const Tensor& x, const Tensor& lengths, int64_t offset, bool backward,
                const Tensor& input, const Tensor& recurrent) {
  seq2seq::read_layer(writable(states) + offset, states.size(2), writable(hidden),
                      cell ? writable(*cell) : nullptr, floats(x), x.size(0), x.size(1),
                      integers(lengths), backward, Matrix(input), Matrix(recurrent));
}

std::tuple<Tensor, Tensor> step_recurrent(const Tensor& tokens, const Tensor& hidden,
                                          const std::optional<Tensor>& cell,
                                          const std::optional<Tensor>& feed,
                                          const Tensor& sentence, const Tensor& lengths,
                                          const std::optional<Tensor>& keys,
                                          const std::optional<Tensor>& values,
                                          std::vector<int64_t> plan, std::vector<Tensor> weights) {
  const seq2seq::RecurrentPlan read(plan);
  const int64_t rows = tokens.size(0), source = keys ? keys->size(1) : 0;
  Tensor logits = torch::stable::new_empty(hidden, {rows, Matrix(weights.back()).out});
  Tensor attention = torch::stable::new_zeros(hidden, {rows, 1, 1, source});
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
  seq2seq::step_recurrent(writable(logits), writable(attention), integers(tokens), rows, past, read,
                          weights);
  return {logits, attention};
}

}  // namespace

STABLE_TORCH_LIBRARY(seq2seq, library) {
  library.def("pack(Tensor values, Tensor scale, Tensor? bias) -> Tensor");
  library.def("linear(Tensor x, Tensor packed) -> Tensor");
  library.def("lookup(Tensor ids, Tensor packed) -> Tensor");
  library.def("largest(Tensor logits, int count) -> (Tensor, Tensor, Tensor)");
  library.def(
      "encode_transformer(Tensor pieces, Tensor starts, int[] plan, Tensor[] weights) -> Tensor");
  library.def(
      "step_transformer(Tensor tokens, Tensor(a!) cache, int used, Tensor ancestors, "
      "Tensor sentence, Tensor starts, int source, Tensor[] memory, int[] plan, "
      "Tensor[] weights) "
      "-> (Tensor, Tensor)");
  library.def(
      "read_layer(Tensor(a!) states, Tensor(b!) hidden, Tensor(c!)? cell, Tensor x, "
      "Tensor lengths, int offset, bool backward, Tensor input, Tensor recurrent) -> ()");
  library.def(
      "step_recurrent(Tensor tokens, Tensor(a!) hidden, Tensor(b!)? cell, Tensor(c!)? feed, "
      "Tensor sentence, Tensor lengths, Tensor? keys, Tensor? values, int[] plan, "
      "Tensor[] weights) -> (Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(seq2seq, CPU, library) {
  library.impl("pack", TORCH_BOX(&pack));
  library.impl("linear", TORCH_BOX(&linear));
  library.impl("lookup", TORCH_BOX(&lookup));
  library.impl("largest", TORCH_BOX(&largest));
  library.impl("encode_transformer", TORCH_BOX(&encode_transformer));
  library.impl("step_transformer", TORCH_BOX(&step_transformer));
  library.impl("read_layer", TORCH_BOX(&read_layer));
  library.impl("step_recurrent", TORCH_BOX(&step_recurrent));
}
