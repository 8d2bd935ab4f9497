// Any words as what a person types: settings of a profile, times, misspelt
// commands.
// Input: one byte that chooses the preset, then settings, one a line.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/error.h"
#include "base/suggest.h"
#include "client/profile_setting.h"
#include "client/timestamp.h"
#include "google/protobuf/stubs/logging.h"

namespace mneme::client {
namespace {

v1::ProfilePreset PresetOf(uint8_t number) {
  v1::ProfilePreset preset;
  v1::Profile& profile = *preset.mutable_profile();
  profile.set_name("p");
  profile.set_layers(2);
  profile.set_query_heads(4);
  profile.set_kv_heads(2);
  profile.set_key_dim(8);
  profile.mutable_window()->set_tokens(16);
  profile.mutable_window()->set_commit(v1::COMMIT_POLICY_BLOCK);
  if (number % 3 == 1) profile.mutable_knn()->set_top_k(4);
  if (number % 3 == 2) {
    profile.mutable_compressive()->set_segment_tokens(8);
    profile.mutable_compressive()->add_gate_logits(0.5F);
  }
  return preset;
}

void Sets(uint8_t number, std::string_view lines) {
  const std::vector<std::string> settings =
      absl::StrSplit(std::string(lines), '\n');
  const v1::ProfilePreset preset = PresetOf(number);
  v1::Profile profile;
  profile.set_preset("p");
  const auto find = [&](const std::string&) { return preset; };
  const auto set = WithSettings(profile, settings, find);
  if (!set.ok()) {
    CHECK(absl::IsInvalidArgument(set.status()));
    CHECK(!base::DetailOf(set.status()).reason.empty());
    return;
  }
  // Setting the same again changes nothing.
  const auto again = WithSettings(profile, settings, find);
  CHECK(again.ok() && again->SerializeAsString() == set->SerializeAsString());
}

void ReadsTime(std::string_view words) {
  const auto time = ParseTimestamp(std::string(words));
  if (!time.ok()) return;
  const auto again = ParseTimestamp(ExactTimestamp(*time));
  CHECK(again.ok() && again->seconds() == time->seconds() &&
        again->nanos() == time->nanos());
}

void Suggests(std::string_view words) {
  const std::string word(words.substr(0, 64));
  const std::string closest =
      base::Closest(word, {"append", "recall", "export"});
  CHECK(closest.empty() || base::EditDistance(word, closest) <= 3);
  CHECK(base::EditDistance(word, word) == 0);
}

}  // namespace
}  // namespace mneme::client

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mneme::client;
  static const google::protobuf::LogSilencer silencer;
  if (size == 0) return 0;
  const std::string_view words(reinterpret_cast<const char*>(data) + 1,
                               size - 1);
  Sets(data[0], words);
  ReadsTime(words);
  Suggests(words);
  return 0;
}
