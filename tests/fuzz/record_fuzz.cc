// Any bytes as a record, and any payload to its decoder: what decodes encodes
// to the same bytes again, and nothing else happens.
// Input: one byte that chooses, then the bytes.

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "memory/fold.h"
#include "memory/probe.h"
#include "memory/profile.h"
#include "memory/profile_record.h"
#include "memory/record.h"
#include "memory/segment_index.h"
#include "memory/session_name.h"
#include "memory/text_index.h"

namespace mneme::memory {
namespace {

Profile FoldProfile() {
  Profile profile;
  profile.kv_heads = 2;
  profile.key_dim = 3;
  profile.value_dim = 2;
  profile.compressive =
      CompressiveTier{.segment_tokens = 4, .gate_logits = {0.0F}};
  return Complete(profile).value();
}

void Opens(std::string_view bytes) {
  base::ByteReader in(bytes);
  const auto kind = in.Number<RecordKind>();
  const std::string_view record = in.Raw(in.left());
  const auto payload = OpenRecord(kind, "key", record);
  if (payload.ok()) CHECK(SealRecord(kind, "key", *payload) == record);
}

// A sealed record opens as what it is, and in no other place.
void Seals(std::string_view bytes) {
  base::ByteReader in(bytes);
  const size_t flip = in.Number<uint16_t>();
  const std::string_view payload = in.Raw(in.left());
  std::string record = SealRecord(RecordKind::kEntry, "key", payload);
  const auto opened = OpenRecord(RecordKind::kEntry, "key", record);
  CHECK(opened.ok() && *opened == payload);
  CHECK(!OpenRecord(RecordKind::kEntry, "kez", record).ok());
  CHECK(!OpenRecord(RecordKind::kTail, "key", record).ok());
  record[flip / 8 % record.size()] ^= static_cast<char>(1 << flip % 8);
  CHECK(!OpenRecord(RecordKind::kEntry, "key", record).ok());
}

void DecodesEntry(std::string_view payload) {
  Entry entry;
  if (!DecodeEntry(payload, entry)) return;
  // Metadata comes out sorted, each key once.
  const std::string once = EncodeEntry(entry);
  Entry again;
  CHECK(DecodeEntry(once, again));
  CHECK(EncodeEntry(again) == once);
}

void DecodesTerms(std::string_view payload) {
  EntryTerms terms;
  if (!DecodeEntryTerms(payload, terms)) return;
  CHECK(terms.passages.size() == terms.terms.size());
  CHECK(EncodeEntryTerms(terms) == payload);
}

void DecodesProfile(std::string_view payload) {
  const auto profile = DecodeProfile(payload);
  if (!profile.ok()) return;
  const auto again = DecodeProfile(EncodeProfile(*profile));
  CHECK(again.ok() && EncodeProfile(*again) == EncodeProfile(*profile));
  for (uint32_t layer = 0; profile->compressive && layer < profile->layers;
       ++layer) {
    const float gate = attention::Sigmoid(profile->OfHead(
        profile->compressive->gate_logits, layer, profile->query_heads - 1));
    CHECK(gate >= 0 && gate <= 1);
  }
}

void DecodesFold(std::string_view payload) {
  static const Profile& profile = *new Profile(FoldProfile());
  Fold fold(profile);
  if (!DecodeFoldLayer(profile, payload, /*layer=*/0, fold)) return;
  CHECK(EncodeFoldLayer(profile, fold, /*layer=*/0) == payload);
}

void DecodesSegment(std::string_view payload) {
  constexpr size_t kCount = 8;
  constexpr size_t kDim = 3;
  SegmentIndex index;
  if (!DecodeSegmentIndex(payload, kCount, kDim, index)) return;
  CHECK(EncodeSegmentIndex(index) == payload);
  const float query[kDim] = {1, -2, 3};
  size_t members = 0;
  for (const auto& [bound, cluster] : index.Bounds(query)) {
    for (const uint32_t member : index.Members(cluster)) {
      CHECK(member < kCount);
      ++members;
    }
  }
  CHECK(members == kCount);
}

void ParsesName(std::string_view bytes) {
  const auto name = SessionName::Parse(bytes);
  if (name.ok()) CHECK(name->ToString() == bytes);
}

// What was forgotten is found where it stands, whatever stands around it.
void FindsProbes(std::string_view bytes) {
  base::ByteReader in(bytes);
  const size_t begin = in.Number<uint8_t>();
  const size_t size = in.Number<uint8_t>();
  const std::string_view around = in.Raw(in.left());
  const std::string_view gone =
      around.substr(std::min(begin, around.size()), size);
  const std::vector<Probe> probes = ProbesOf(gone, /*count_max=*/8);
  CHECK(probes.size() <= 8 && std::is_sorted(probes.begin(), probes.end()));
  std::set<Probe> found;
  size_t at = 0;
  ProbeSet(probes).Find(around, [&](Probe probe, size_t offset) {
    CHECK(offset >= at && offset + kProbeBytes <= around.size());
    at = offset;
    found.insert(probe);
  });
  CHECK(found == std::set<Probe>(probes.begin(), probes.end()));
}

}  // namespace
}  // namespace mneme::memory

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mneme::memory;
  constexpr void (*kTargets[])(std::string_view) = {
      Opens,       Seals,          DecodesEntry, DecodesTerms, DecodesProfile,
      DecodesFold, DecodesSegment, ParsesName,   FindsProbes};
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  kTargets[data[0] % std::size(kTargets)](bytes.substr(1));
  return 0;
}
