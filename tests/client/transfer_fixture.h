// tests/client/transfer_fixture.h: exports as a server gives them.

#ifndef MNEME_TESTS_CLIENT_TRANSFER_FIXTURE_H_
#define MNEME_TESTS_CLIENT_TRANSFER_FIXTURE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "mneme/v1/transfer_service.pb.h"

namespace mneme::testing {

using ExportParts = std::vector<v1::ExportSessionResponse>;

inline v1::ExportSessionResponse ManifestPart(uint64_t seq_next) {
  v1::ExportSessionResponse part;
  v1::SessionManifest& manifest = *part.mutable_manifest();
  manifest.set_version(1);
  manifest.set_session("namespaces/default/sessions/s");
  manifest.mutable_profile()->set_name("p");
  manifest.mutable_profile()->set_logit_scale(0.1);
  manifest.mutable_profile()->add_head_scales(0.1F);
  manifest.mutable_profile()->mutable_window()->set_tokens(7);
  manifest.set_seq_next(seq_next);
  manifest.set_position_next(static_cast<int64_t>(seq_next));
  manifest.set_entry_next(1);
  manifest.mutable_create_time()->set_seconds(1'700'000'000);
  manifest.mutable_update_time()->set_nanos(123'456'000);
  return part;
}

// Tokens [first, first + count) of a session of 2 layers, 1 head, dims 3 and 2;
// every element says where it stands.
inline v1::ExportSessionResponse TokensPart(uint64_t first, int64_t count) {
  v1::ExportSessionResponse part;
  part.mutable_tokens()->set_seq_first(first);
  v1::TokenRows& rows = *part.mutable_tokens()->mutable_rows();
  const auto fill = [&](int64_t dim, char mark, v1::Tensor* tensor) {
    tensor->set_data_type(v1::DATA_TYPE_FLOAT16);
    for (const int64_t extent : {int64_t{2}, int64_t{1}, count, dim}) {
      tensor->add_shape(extent);
    }
    for (char layer = 0; layer < 2; ++layer) {
      for (int64_t i = 0; i < count; ++i) {
        const char row = static_cast<char>(first + i);
        for (int64_t d = 0; d < dim; ++d) {
          tensor->mutable_data()->append(
              {row, static_cast<char>(mark + layer)});
        }
      }
    }
  };
  fill(3, 'a', rows.mutable_keys());
  fill(2, 'x', rows.mutable_values());
  for (int64_t i = 0; i < count; ++i) {
    rows.add_positions(static_cast<int64_t>(first) * 10 + i);
  }
  return part;
}

inline void Forget(uint64_t begin, uint64_t end,
                   v1::ExportSessionResponse& part) {
  v1::SeqRange& range = *part.mutable_tokens()->add_forgotten();
  range.set_begin(begin);
  range.set_end(end);
}

inline v1::ExportSessionResponse EndPart(uint64_t entries, uint64_t tokens) {
  v1::ExportSessionResponse part;
  part.mutable_end()->set_entries(entries);
  part.mutable_end()->set_tokens(tokens);
  return part;
}

// 20 tokens, of which 3 are forgotten.
inline ExportParts TokensExport() {
  ExportParts parts = {ManifestPart(20), TokensPart(0, 8), TokensPart(8, 12)};
  Forget(2, 3, parts[1]);
  Forget(6, 8, parts[1]);
  parts.push_back(EndPart(0, 17));
  return parts;
}

// Two entries around a forgotten one.
inline ExportParts TextExport() {
  ExportParts parts = {ManifestPart(4)};
  parts[0].mutable_manifest()->mutable_profile()->set_text_encoder("e");
  parts[0].mutable_manifest()->set_entry_next(4);
  v1::ExportedEntries& entries = *parts.emplace_back().mutable_entries();
  v1::ExportedEntry& first = *entries.add_entries();
  first.set_entry(1);
  first.set_text("Ada \"keeps\"\nthe key: día.");
  first.set_role("user");
  first.mutable_time()->set_seconds(1'700'000'000);
  first.mutable_time()->set_nanos(5'000);
  first.set_source("a.txt");
  first.set_source_offset(17);
  (*first.mutable_metadata())["k"] = "v";
  first.set_seq_first(0);
  first.set_seq_count(1);
  v1::ExportedEntry& second = *entries.add_entries();
  second.set_entry(3);
  second.set_text("Rain again.");
  second.mutable_time();
  second.set_seq_first(2);
  second.set_seq_count(2);
  parts.push_back(EndPart(2, 3));
  return parts;
}

}  // namespace mneme::testing

#endif  // MNEME_TESTS_CLIENT_TRANSFER_FIXTURE_H_
