#include "client/request_id.h"

#include <xxhash.h>

#include <memory>
#include <random>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace mneme::client {
namespace {

void Add(XXH3_state_t* state, std::string_view field) {
  unsigned char length[8];
  for (int i = 0; i < 8; ++i) {
    length[i] = static_cast<unsigned char>(uint64_t{field.size()} >> (8 * i));
  }
  CHECK(XXH3_128bits_update(state, length, sizeof(length)) == XXH_OK);
  CHECK(XXH3_128bits_update(state, field.data(), field.size()) == XXH_OK);
}

std::string Hex(uint64_t high, uint64_t low) {
  return absl::StrCat(absl::Hex(high, absl::kZeroPad16),
                      absl::Hex(low, absl::kZeroPad16));
}

}  // namespace

std::string PartRequestId(std::string_view session, std::string_view source,
                          uint64_t offset, std::string_view words) {
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(
      XXH3_createState(), XXH3_freeState);
  CHECK(state != nullptr && XXH3_128bits_reset(state.get()) == XXH_OK);
  Add(state.get(), session);
  Add(state.get(), source);
  Add(state.get(), absl::StrCat(offset));
  Add(state.get(), words);
  const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
  return "part-" + Hex(hash.high64, hash.low64);
}

std::string RandomRequestId() {
  std::random_device device;
  const auto word = [&] { return uint64_t{device()} << 32 | device(); };
  const uint64_t high = word();
  return "call-" + Hex(high, word());
}

}  // namespace mneme::client
