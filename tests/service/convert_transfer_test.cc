#include "service/convert_transfer.h"

#include <limits>
#include <string>

#include "base/error.h"
#include "gtest/gtest.h"
#include "memory/presets.h"

namespace mneme::service {
namespace {

memory::Profile TokenProfile() {
  memory::Profile profile;
  profile.layers = 2;
  profile.query_heads = 2;
  profile.kv_heads = 2;
  profile.key_dim = 4;
  profile.value_dim = 3;
  profile.window = memory::WindowTier{.tokens = 5};
  return memory::Complete(profile).value();
}

std::string FieldOf(const absl::Status& status) {
  return base::DetailOf(status).field;
}

TEST(ConvertTransfer, AManifestOfEveryPresetComesBack) {
  for (const memory::Preset& preset : memory::Presets()) {
    SCOPED_TRACE(preset.profile.name);
    const memory::Manifest sent{
        .profile = memory::Complete(preset.profile).value(),
        .seq_next = 7,
        .position_next = 9,
        .committed_seq = 3,
        .entry_next = 2,
        .create_time_us = -5,
        .update_time_us = 1'700'000'000'123'456,
        .ttl_us = 60'000'000};
    v1::SessionManifest proto;
    SetManifest({.space = "n", .session = "s"}, sent, &proto);
    EXPECT_EQ(proto.session(), "namespaces/n/sessions/s");
    const memory::Manifest back = ManifestFromProto(proto).value();
    EXPECT_EQ(memory::Complete(back.profile).value(), sent.profile);
    EXPECT_EQ(back.seq_next, 7u);
    EXPECT_EQ(back.position_next, 9);
    EXPECT_EQ(back.committed_seq, 3u);
    EXPECT_EQ(back.entry_next, 2u);
    EXPECT_EQ(back.ttl_us, 60'000'000);
    EXPECT_EQ(back.create_time_us, -5);
    EXPECT_EQ(back.update_time_us, 1'700'000'000'123'456);
  }
}

TEST(ConvertTransfer, AManifestOfALaterReleaseIsRefused) {
  v1::SessionManifest proto;
  EXPECT_EQ(FieldOf(ManifestFromProto(proto).status()), "manifest.version");
  proto.set_version(kTransferVersion + 1);
  EXPECT_EQ(base::DetailOf(ManifestFromProto(proto).status()).reason,
            "FORMAT_TOO_NEW");
  proto.set_version(1);
  proto.mutable_create_time()->set_nanos(-1);
  EXPECT_EQ(FieldOf(ManifestFromProto(proto).status()), "manifest.create_time");
}

TEST(ConvertTransfer, AnEntryComesBack) {
  const memory::Entry sent{.number = 4,
                           .text = "Ada keeps the key.",
                           .role = "user",
                           .time_us = -1,
                           .source = "a.txt",
                           .source_offset = 17,
                           .metadata = {{"k", "v"}},
                           .seq_first = 8,
                           .seq_count = 1};
  v1::ExportedEntry proto;
  SetExportedEntry(sent, &proto);
  const memory::Entry back = EntryFromProto(proto).value();
  EXPECT_EQ(memory::EncodeEntry(back), memory::EncodeEntry(sent));
  proto.set_source_offset(std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(FieldOf(EntryFromProto(proto).status()), "entry.source_offset");
}

TEST(ConvertTransfer, TokensComeBack) {
  const memory::Profile profile = TokenProfile();
  memory::ExportedRows rows{.seq_first = 128, .positions = {5, 7, 8}};
  rows.forgotten = {{129, 130}};
  rows.keys.assign(3 * 4 * profile.key_bytes(), 'k');
  rows.values.assign(3 * 4 * profile.value_bytes(), 'v');
  v1::ExportedTokens proto;
  SetExportedTokens(rows, profile, &proto);
  const ImportedTokens back = TokensFromProto(proto, profile).value();
  EXPECT_EQ(proto.seq_first(), 128u);
  EXPECT_EQ(back.rows.count, 3u);
  EXPECT_EQ(back.rows.keys, rows.keys);
  EXPECT_EQ(back.rows.values, rows.values);
  EXPECT_EQ(std::vector<int64_t>(back.rows.positions.begin(),
                                 back.rows.positions.end()),
            rows.positions);
  EXPECT_EQ(back.forgotten, rows.forgotten);
  proto.mutable_forgotten(0)->clear_end();
  EXPECT_EQ(FieldOf(TokensFromProto(proto, profile).status()),
            "tokens.forgotten");
  proto.mutable_rows()->mutable_keys()->set_shape(0, 3);
  EXPECT_EQ(FieldOf(TokensFromProto(proto, profile).status()),
            "tokens.keys.shape");
}

}  // namespace
}  // namespace mneme::service
