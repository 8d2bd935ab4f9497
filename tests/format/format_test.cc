#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "gtest/gtest.h"
#include "memory/keys.h"
#include "memory/memory.h"
#include "memory/records.h"
#include "memory/rocks_store.h"
#include "tests/client/temporary_dir.h"
#include "tests/format/contents.h"
#include "tests/memory/fixture.h"

namespace mneme::memory {
namespace {

namespace fs = std::filesystem;

// A folder for each version of the format that a release has written.
std::vector<fs::path> KeptVersions() {
  std::vector<fs::path> versions;
  for (const auto& entry : fs::directory_iterator(MNEME_FORMAT_DIR)) {
    if (entry.is_directory()) versions.push_back(entry.path());
  }
  std::sort(versions.begin(), versions.end());
  return versions;
}

class Format : public ::testing::Test {
 protected:
  // Opens a copy of it.
  std::string CopyOf(const fs::path& version) const {
    const std::string copy = scratch_.Path(version.filename());
    fs::copy(version / "data", copy);
    return copy;
  }

  FakeClock clock_;
  const testing::TemporaryDir scratch_;
};

TEST_F(Format, EveryKeptVersionOpensVerifiesAndAnswersAsItDid) {
  ASSERT_FALSE(KeptVersions().empty());
  for (const fs::path& version : KeptVersions()) {
    SCOPED_TRACE(version);
    const std::string copy = CopyOf(version);
    const auto expected =
        nlohmann::json::parse(std::ifstream(version / "answers.json"));
    // Twice: what the first opening wrote must open too.
    for (int opening = 0; opening < 2; ++opening) {
      auto store = OpenRocksStore(copy);
      ASSERT_TRUE(store.ok()) << store.status();
      auto memory = Memory::Open(*std::move(store), &clock_);
      ASSERT_TRUE(memory.ok()) << memory.status();
      EXPECT_EQ(DifferenceOf(AnswersOf(**memory), expected), "");
    }
  }
}

TEST_F(Format, EveryKeptVersionGoesOnBeingWritten) {
  for (const fs::path& version : KeptVersions()) {
    SCOPED_TRACE(version);
    const std::string copy = CopyOf(version);
    for (int opening = 0; opening < 2; ++opening) {
      auto memory = Memory::Open(OpenRocksStore(copy).value(), &clock_).value();
      auto session = memory->Find({.space = "kept", .session = "text"}).value();
      const auto known =
          session->AppendText(Text("another payload"), WithId("request0"));
      EXPECT_EQ(ReasonOf(known.status()), "REQUEST_ID_REUSED");
      const auto said = session->AppendText(Text("The zebra came late."),
                                            WithId("after the upgrade"));
      ASSERT_TRUE(said.ok()) << said.status();
      EXPECT_EQ(said->replayed, opening == 1);
      const auto found = session->Recall(Ask("zebra"), Never);
      ASSERT_FALSE(found->passages.empty());
      EXPECT_EQ(found->passages[0].entry, *said->entry);
      ExpectSound(*session);
    }
  }
}

TEST_F(Format, ADirectoryOfALaterReleaseIsRefusedAndSaysWhy) {
  const std::string copy = CopyOf(KeptVersions().back());
  {
    auto store = OpenRocksStore(copy).value();
    base::ByteWriter payload;
    payload.Number(uint32_t{1000});
    WriteBatch batch;
    PutRecord(RecordKind::kFormat, FormatKey(), payload.Take(), batch);
    ASSERT_TRUE(store->Write(batch, /*sync=*/true).ok());
  }
  const auto memory = Memory::Open(OpenRocksStore(copy).value(), &clock_);
  EXPECT_TRUE(absl::IsFailedPrecondition(memory.status()));
  EXPECT_EQ(ReasonOf(memory.status()), "FORMAT_TOO_NEW");
  EXPECT_NE(memory.status().message().find("format 1000; this release reads"),
            std::string::npos)
      << memory.status();
}

TEST_F(Format, DifferencesAreFound) {
  const nlohmann::json one = {{"a", {1.0, 2.0}}, {"b", "x"}};
  EXPECT_EQ(DifferenceOf(one, one), "");
  EXPECT_EQ(DifferenceOf({{"a", {1.00001, 2.0}}, {"b", "x"}}, one), "");
  EXPECT_NE(DifferenceOf({{"a", {1.01, 2.0}}, {"b", "x"}}, one), "");
  EXPECT_NE(DifferenceOf({{"a", {1.0}}, {"b", "x"}}, one), "");
  EXPECT_NE(DifferenceOf({{"a", {1.0, 2.0}}, {"c", "x"}}, one), "");
  EXPECT_NE(DifferenceOf({{"a", {1.0, 2.0}}, {"b", "y"}}, one), "");
}

}  // namespace
}  // namespace mneme::memory
