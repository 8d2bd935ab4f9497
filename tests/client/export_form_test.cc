#include "client/export_form.h"

#include <string>

#include "base/error.h"
#include "gtest/gtest.h"
#include "tests/client/transfer_fixture.h"

namespace mneme::client {
namespace {

std::string ReasonOf(const absl::Status& status) {
  return base::DetailOf(status).reason;
}

TEST(ExportForm, EndMarkersComeBack) {
  const EndMarker end{.entries = 3,
                      .tokens = uint64_t{1} << 60,
                      .files = {{kManifestFile, {.bytes = 7, .sha256 = "ab"}},
                                {TokensFileName(0), {.bytes = 0}},
                                {TokensFileName(1'234'567), {.bytes = 9}}}};
  EXPECT_EQ(ParseEndMarker(EncodeEndMarker(end)).value(), end);
  EXPECT_EQ(TokensFileName(7), "tokens-000007.safetensors");
}

TEST(ExportForm, AnEndMarkerNamesNoFileElsewhere) {
  for (const char* name :
       {"../session.json", "/etc/passwd", "", "end.json",
        "tokens-1.safetensors", "tokens-000001.safetensors/x",
        "tokens-0000001.safetensors", "tokens--00001.safetensors", "tokens-",
        "entries.jsonl.gz"}) {
    EndMarker end{.files = {{kManifestFile, {}}, {name, {}}}};
    EXPECT_EQ(ReasonOf(ParseEndMarker(EncodeEndMarker(end)).status()),
              "BAD_EXPORT")
        << name;
  }
}

TEST(ExportForm, WhatIsNoEndMarkerIsRefused) {
  for (
      const char* json :
      {"", "{}", "[]", R"({"version":1})", R"({"version":0})",
       R"({"version":1,"entries":-1,"tokens":0,"files":{}})",
       R"({"version":1,"entries":0,"tokens":0,"files":[]})",
       R"({"version":1,"entries":0,"tokens":0,"files":{}})",
       R"({"version":1,"entries":0,"tokens":0,"files":{"session.json":7}})",
       R"({"version":1,"entries":0,"tokens":0,"files":{"session.json":{}}})"}) {
    EXPECT_EQ(ReasonOf(ParseEndMarker(json).status()), "BAD_EXPORT") << json;
  }
  EXPECT_EQ(ReasonOf(ParseEndMarker(R"({"version":2})").status()),
            "FORMAT_TOO_NEW");
}

TEST(ExportForm, ManifestsComeBack) {
  const v1::SessionManifest manifest = testing::ManifestPart(20).manifest();
  EXPECT_EQ(ParseManifest(EncodeManifest(manifest))->SerializeAsString(),
            manifest.SerializeAsString());
}

TEST(ExportForm, WhatIsNoManifestIsRefused) {
  for (const char* json :
       {"", "{}", "[]", R"({"version":1,"seq":1})",
        R"({"version":1,"version":1})", R"({"version":1,"seq_next":-1})",
        R"({"version":1,"profile":7})"}) {
    EXPECT_EQ(ReasonOf(ParseManifest(json).status()), "BAD_EXPORT") << json;
  }
  EXPECT_EQ(ReasonOf(ParseManifest(R"({"version":2})").status()),
            "FORMAT_TOO_NEW");
}

}  // namespace
}  // namespace mneme::client
