#include "client/token_rows.h"

#include "gmock/gmock.h"
#include "tests/client/fake_memory.h"

namespace mneme::client {
namespace {

using ::testing::ElementsAre;
using testing::FakeMemory;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kName[] = "namespaces/default/sessions/s1";
const TokenRowNames kNames = {"keys", "values", "positions"};

// Element i of a tensor holds i.
NamedTensor Counting(const std::vector<int64_t>& shape) {
  size_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  std::vector<float> numbers(count);
  for (size_t i = 0; i < count; ++i) numbers[i] = static_cast<float>(i);
  return {
      "F32", shape,
      std::string(reinterpret_cast<const char*>(numbers.data()), 4 * count)};
}

NamedTensor Positions(const std::vector<int64_t>& positions) {
  return {"I64",
          {static_cast<int64_t>(positions.size())},
          std::string(reinterpret_cast<const char*>(positions.data()),
                      8 * positions.size())};
}

class AppendTokenRowsTest : public ::testing::Test {
 protected:
  AppendTokenRowsTest() { fake_.AddSession(kName); }
  absl::StatusOr<TokenRowsResult> Append(
      const std::function<bool()>& go_on = {}) {
    return AppendTokenRows(client_, kName, file_, kNames, false, go_on);
  }
  FakeMemory fake_;
  Client client_{fake_.Channel()};
  Safetensors file_;
};

TEST_F(AppendTokenRowsTest, SmallFilesTravelWhole) {
  file_.tensors["keys"] = Counting({2, 3, 4, 5});
  file_.tensors["values"] = Counting({2, 3, 4, 6});
  file_.tensors["positions"] = Positions({1, 2, 30, 1LL << 40});
  const auto result = Append();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->tokens, 4);
  ASSERT_THAT(fake_.appends, SizeIs(1));
  const v1::TokenRows& rows = fake_.appends[0].tokens();
  EXPECT_EQ(rows.keys().data(), file_.tensors["keys"].data);
  EXPECT_EQ(rows.values().data(), file_.tensors["values"].data);
  EXPECT_EQ(rows.keys().data_type(), v1::DATA_TYPE_FLOAT32);
  EXPECT_THAT(rows.keys().shape(), ElementsAre(2, 3, 4, 5));
  EXPECT_THAT(rows.positions(), ElementsAre(1, 2, 30, 1LL << 40));
  EXPECT_FALSE(fake_.appends[0].has_expected_seq());
}

TEST_F(AppendTokenRowsTest, LargeFilesAreCutByTokensAndChained) {
  // 2 layers, 2 heads, 256 + 256 floats: 8 KiB a token, 1024 tokens a request.
  constexpr int64_t kTokens = 2500;
  file_.tensors["keys"] = Counting({2, 2, kTokens, 256});
  file_.tensors["values"] = Counting({2, 2, kTokens, 256});
  std::vector<int64_t> positions(kTokens);
  for (int64_t i = 0; i < kTokens; ++i) positions[i] = 3 * i;
  file_.tensors["positions"] = Positions(positions);
  const auto result = Append();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->requests, 3);
  EXPECT_EQ(result->last.seq_next(), kTokens);
  int64_t begin = 0;
  for (const v1::AppendRequest& request : fake_.appends) {
    const v1::TokenRows& rows = request.tokens();
    EXPECT_LE(rows.keys().data().size() + rows.values().data().size(),
              kRequestBytes);
    const int64_t tokens = rows.keys().shape(2);
    EXPECT_EQ(rows.positions(0), 3 * begin);
    EXPECT_EQ(request.has_expected_seq(), begin > 0);
    EXPECT_EQ(request.expected_seq(), begin);
    for (int64_t bank = 0; bank < 4; ++bank) {
      EXPECT_EQ(rows.keys().data().substr(bank * tokens * 1024, tokens * 1024),
                file_.tensors["keys"].data.substr(
                    (bank * kTokens + begin) * 1024, tokens * 1024));
    }
    begin += tokens;
  }
  EXPECT_EQ(begin, kTokens);
}

TEST_F(AppendTokenRowsTest, StopsWhenAskedToAndCounts) {
  file_.tensors["keys"] = Counting({1, 1, 3000, 1024});
  file_.tensors["values"] = file_.tensors["keys"];
  const absl::Status status = Append([] { return false; }).status();
  EXPECT_TRUE(absl::IsCancelled(status));
  EXPECT_EQ(status.message(), "stopped after 1024 of 3000 tokens");
}

TEST_F(AppendTokenRowsTest, AFailureInBetweenCountsWhatIsThere) {
  file_.tensors["keys"] = Counting({1, 1, 3000, 1024});
  file_.tensors["values"] = file_.tensors["keys"];
  fake_.failures = {absl::OkStatus(), absl::AbortedError("other writer")};
  const absl::Status status = Append().status();
  EXPECT_TRUE(absl::IsAborted(status));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("after 1024 of 3000 tokens"));
}

TEST_F(AppendTokenRowsTest, WhatDoesNotFitIsRefusedByName) {
  const NamedTensor good = Counting({1, 2, 3, 4});
  const auto expect_refused = [&](const std::string& name) {
    const absl::Status status = Append().status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_EQ(status.message().substr(0, name.size() + 1), name + ":");
  };
  expect_refused("keys");
  file_.tensors["keys"] = good;
  expect_refused("values");
  file_.tensors["values"] = Counting({1, 2, 4, 4});
  expect_refused("values");
  file_.tensors["values"] = Counting({2, 3, 4});
  expect_refused("values");
  file_.tensors["values"] = Counting({1, 2, 0, 4});
  expect_refused("values");
  file_.tensors["values"] = good;
  file_.tensors["values"].dtype = "I32";
  expect_refused("values");
  file_.tensors["values"] = good;
  file_.tensors["positions"] = Positions({1, 2});
  expect_refused("positions");
  file_.tensors["positions"] = good;
  expect_refused("positions");
  EXPECT_THAT(fake_.appends, IsEmpty());
}

}  // namespace
}  // namespace mneme::client
