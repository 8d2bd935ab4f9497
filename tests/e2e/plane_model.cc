#include "tests/e2e/plane_model.h"

#include <string>

#include "attention/dtype.h"

namespace mneme::e2e {
namespace {

constexpr size_t kBanks = kLayers * kKvHeads;

}  // namespace

v1::Profile PlaneProfile(uint32_t window) {
  v1::Profile profile;
  profile.set_name("plane");
  profile.set_layers(kLayers);
  profile.set_query_heads(kQueryHeads);
  profile.set_kv_heads(kKvHeads);
  profile.set_key_dim(kDim);
  profile.set_data_type(v1::DATA_TYPE_FLOAT16);
  v1::PositionEncoding& position = *profile.mutable_position();
  position.set_family(v1::POSITION_FAMILY_YARN);
  position.set_theta(kTheta);
  position.mutable_yarn()->set_factor(kFactor);
  position.mutable_yarn()->set_original_length(kTrained);
  profile.mutable_window()->set_tokens(window);
  profile.mutable_knn();
  return profile;
}

PlaneModel::PlaneModel(size_t tokens, std::mt19937_64& random)
    : tokens_(tokens) {
  std::normal_distribution<float> normal;
  std::vector<float> row(kDim);
  for (std::vector<uint16_t>* rows : {&keys_, &values_}) {
    rows->resize(kBanks * tokens * kDim);
    for (size_t i = 0; i < rows->size(); i += kDim) {
      for (float& x : row) x = normal(random);
      attention::FromFloat(attention::DType::kF16, row.data(), kDim,
                           reinterpret_cast<std::byte*>(rows->data() + i));
    }
  }
}

v1::TokenRows PlaneModel::Rows(size_t first, size_t count) const {
  v1::TokenRows rows;
  SetTensor(keys_, first, count, *rows.mutable_keys());
  SetTensor(values_, first, count, *rows.mutable_values());
  return rows;
}

std::vector<float> PlaneModel::Keys(size_t layer, size_t kv_head, size_t first,
                                    size_t count) const {
  return Floats(keys_, layer * kKvHeads + kv_head, first, count);
}

std::vector<float> PlaneModel::Values(size_t layer, size_t kv_head,
                                      size_t first, size_t count) const {
  return Floats(values_, layer * kKvHeads + kv_head, first, count);
}

const uint16_t* PlaneModel::At(const std::vector<uint16_t>& rows, size_t bank,
                               size_t token) const {
  return rows.data() + (bank * tokens_ + token) * kDim;
}

std::vector<float> PlaneModel::Floats(const std::vector<uint16_t>& rows,
                                      size_t bank, size_t first,
                                      size_t count) const {
  std::vector<float> floats(count * kDim);
  attention::ToFloat(attention::DType::kF16,
                     reinterpret_cast<const std::byte*>(At(rows, bank, first)),
                     count * kDim, floats.data());
  return floats;
}

void PlaneModel::SetTensor(const std::vector<uint16_t>& rows, size_t first,
                           size_t count, v1::Tensor& tensor) const {
  tensor.set_data_type(v1::DATA_TYPE_FLOAT16);
  for (const size_t extent : {kLayers, kKvHeads, count, kDim}) {
    tensor.add_shape(static_cast<int64_t>(extent));
  }
  for (size_t bank = 0; bank < kBanks; ++bank) {
    tensor.mutable_data()->append(
        reinterpret_cast<const char*>(At(rows, bank, first)),
        count * kDim * sizeof(uint16_t));
  }
}

}  // namespace mneme::e2e
