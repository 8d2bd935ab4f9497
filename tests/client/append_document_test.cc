#include <google/protobuf/timestamp.pb.h>

#include "client/document.h"
#include "gmock/gmock.h"
#include "tests/client/fake_memory.h"

namespace mneme::client {
namespace {

using testing::FakeMemory;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kName[] = "namespaces/default/sessions/s1";

std::string Lines(size_t bytes) {
  std::string text;
  for (int i = 0; text.size() < bytes; ++i) {
    text += "Line number " + std::to_string(i) + ".\n";
  }
  return text;
}

class AppendDocumentTest : public ::testing::Test {
 protected:
  AppendDocumentTest() {
    fake_.AddSession(kName);
    document_.session = kName;
    document_.source = "book.txt";
  }
  FakeMemory fake_;
  Client client_{fake_.Channel()};
  Document document_;
};

TEST_F(AppendDocumentTest, PartsSayWhereTheyStand) {
  const std::string text = Lines(5 * kPartBytes / 2);
  document_.role = "author";
  document_.time = "2024-05-01T12:00:00Z";
  document_.metadata = {{"isbn", "1"}};
  std::vector<uint64_t> done;
  const auto result = AppendDocument(
      client_, document_, text, [&](const DocumentProgress& progress) {
        done.push_back(progress.bytes_done);
        EXPECT_EQ(progress.bytes_total, text.size());
        return true;
      });
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->entries, fake_.appends.size());
  EXPECT_EQ(result->replayed, 0);
  EXPECT_EQ(result->passages, fake_.appends.size());
  EXPECT_EQ(result->seq_next, fake_.appends.size());
  ASSERT_GE(fake_.appends.size(), 3);
  ASSERT_THAT(done, SizeIs(fake_.appends.size()));
  std::string joined;
  for (size_t i = 0; i < fake_.appends.size(); ++i) {
    const v1::TextEntry& entry = fake_.appends[i].text();
    EXPECT_EQ(entry.source_offset(), joined.size());
    EXPECT_EQ(entry.source(), "book.txt");
    EXPECT_EQ(entry.role(), "author");
    EXPECT_EQ(entry.time().seconds(), 1714564800);
    EXPECT_EQ(entry.metadata().at("isbn"), "1");
    EXPECT_EQ(fake_.appends[i].acknowledge(), v1::ACKNOWLEDGE_UNSPECIFIED);
    joined += entry.text();
    EXPECT_EQ(done[i], joined.size());
  }
  EXPECT_EQ(joined, text);
}

TEST_F(AppendDocumentTest, AgainAddsNothing) {
  const std::string text = Lines(2 * kPartBytes);
  const auto first = AppendDocument(client_, document_, text);
  const auto second = AppendDocument(client_, document_, text);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->replayed, first->entries);
  EXPECT_EQ(second->seq_next, first->seq_next);
}

TEST_F(AppendDocumentTest, AfterAFailureAddsWhatIsMissing) {
  const std::string text = Lines(3 * kPartBytes);
  fake_.failures = {absl::OkStatus(), absl::DataLossError("disk")};
  const absl::Status failed = AppendDocument(client_, document_, text).status();
  EXPECT_TRUE(absl::IsDataLoss(failed)) << failed;
  EXPECT_THAT(std::string(failed.message()), HasSubstr("text from byte "));
  const auto result = AppendDocument(client_, document_, text);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->replayed, 1);
  EXPECT_EQ(result->seq_next, result->entries);
}

TEST_F(AppendDocumentTest, StopsWhenAskedTo) {
  const auto stop = [](const DocumentProgress&) { return false; };
  EXPECT_TRUE(absl::IsCancelled(
      AppendDocument(client_, document_, Lines(3 * kPartBytes), stop)
          .status()));
  EXPECT_THAT(fake_.appends, SizeIs(1));
  // After the last part there is nothing to stop.
  EXPECT_TRUE(AppendDocument(client_, document_, "short", stop).ok());
}

TEST_F(AppendDocumentTest, WhatIsNotTextIsRefusedBeforeAnythingIsSent) {
  const std::string late = Lines(2 * kPartBytes) + "\xFF";
  const absl::Status status = AppendDocument(client_, document_, late).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("byte " + std::to_string(late.size() - 1)));
  for (const char* text : {"", " \n "}) {
    EXPECT_TRUE(absl::IsInvalidArgument(
        AppendDocument(client_, document_, text).status()));
  }
  document_.time = "noon";
  EXPECT_TRUE(absl::IsInvalidArgument(
      AppendDocument(client_, document_, "words").status()));
  EXPECT_THAT(fake_.appends, IsEmpty());
}

TEST_F(AppendDocumentTest, BlankPartsAreLeftOutAndPlacesStayRight) {
  const std::string text = "start" + std::string(3 * kPartBytes, ' ') + "end";
  ASSERT_TRUE(AppendDocument(client_, document_, text).ok());
  ASSERT_THAT(fake_.appends, SizeIs(2));
  const v1::TextEntry& last = fake_.appends[1].text();
  EXPECT_EQ(text.substr(last.source_offset()), last.text());
}

TEST_F(AppendDocumentTest, BufferedIsPassedOn) {
  document_.buffered = true;
  ASSERT_TRUE(AppendDocument(client_, document_, "words").ok());
  EXPECT_EQ(fake_.appends[0].acknowledge(), v1::ACKNOWLEDGE_BUFFERED);
}

}  // namespace
}  // namespace mneme::client
