#include "client/entry_line.h"

#include <string>

#include "base/error.h"
#include "gtest/gtest.h"
#include "tests/client/transfer_fixture.h"

namespace mneme::client {
namespace {

std::string FieldOf(const std::string& line) {
  return base::DetailOf(EntryFromLine(line).status()).field;
}

TEST(EntryLine, ComesBackFromItsLine) {
  const testing::ExportParts parts = testing::TextExport();
  for (const v1::ExportedEntry& entry : parts[1].entries().entries()) {
    const std::string line = EntryToLine(entry).value();
    EXPECT_EQ(line.find('\n'), std::string::npos);
    EXPECT_EQ(EntryFromLine(line)->SerializeAsString(),
              entry.SerializeAsString());
  }
  EXPECT_EQ(
      EntryToLine(parts[1].entries().entries(1)).value(),
      R"({"entry":3,"text":"Rain again.","role":"","time":"1970-01-01T00:00:00Z",)"
      R"("source":"","source_offset":0,"metadata":{},"seq_first":2,"seq_count":2})");
}

TEST(EntryLine, NeedsWhatCannotBeGuessed) {
  const std::string whole =
      R"({"entry":1,"text":"a","time":"2024-01-01","seq_first":0,"seq_count":1})";
  EXPECT_EQ(FieldOf(whole), "");
  for (const std::string key :
       {"entry", "text", "time", "seq_first", "seq_count"}) {
    std::string without = whole;
    without.replace(without.find('"' + key + '"'), 2, "\"role\":\"\",\"x");
    EXPECT_EQ(FieldOf(without), key) << without;
  }
}

TEST(EntryLine, NamesTheKeyThatIsWrong) {
  const std::string rest =
      R"("text":"a","time":"2024-01-01","seq_first":0,"seq_count":1})";
  EXPECT_EQ(FieldOf(R"({"entry":-1,)" + rest), "entry");
  EXPECT_EQ(FieldOf(R"({"entry":1.5,)" + rest), "entry");
  EXPECT_EQ(FieldOf(R"({"entry":"1",)" + rest), "entry");
  EXPECT_EQ(FieldOf(R"({"entry":18446744073709551616,)" + rest), "entry");
  EXPECT_EQ(FieldOf(R"({"entry":1,"metadata":{"k":1},)" + rest), "metadata");
  EXPECT_EQ(FieldOf(R"({"entry":1,"metadata":[],)" + rest), "metadata");
  EXPECT_EQ(FieldOf(R"({"entry":1,"typo":1,)" + rest), "\"typo\"");
  EXPECT_FALSE(EntryFromLine(R"({"entry":1,"entry":2,)" + rest).ok());
  EXPECT_FALSE(EntryFromLine("").ok());
  EXPECT_EQ(FieldOf(R"({"entry":1,"text":"a","time":"yesterday",)"
                    R"("seq_first":0,"seq_count":1})"),
            "time");
  EXPECT_EQ(FieldOf(R"({"entry":1,"text":"a","time":"2024-01-01",)"
                    R"("seq_first":0,"seq_count":4294967296})"),
            "seq_count");
}

TEST(EntryLine, RefusesWordsThatNoServerShouldGive) {
  v1::ExportedEntry entry;
  entry.set_text("\xFF");
  EXPECT_TRUE(absl::IsDataLoss(EntryToLine(entry).status()));
}

}  // namespace
}  // namespace mneme::client
