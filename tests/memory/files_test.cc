#include "memory/files.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "tests/client/temporary_dir.h"
#include "tests/memory/fixture.h"

namespace mneme::memory {
namespace {

using testing::TemporaryDir;

TEST(Files, WhatWasWrittenIsReadBackWhole) {
  const TemporaryDir dir;
  const std::string bytes = "one\0two" + std::string(3'000'000, 'x');
  ASSERT_TRUE(WriteFile(dir.Path("a"), bytes).ok());
  EXPECT_EQ(ReadFile(dir.Path("a")).value(), bytes);
  ASSERT_TRUE(WriteFile(dir.Path("a"), "short").ok());
  EXPECT_EQ(ReadFile(dir.Path("a")).value(), "short");
  EXPECT_TRUE(SyncDirectory(dir.Path("")).ok());
}

TEST(Files, ACopySharesNothingAndOverwritesNothing) {
  const TemporaryDir dir;
  ASSERT_TRUE(WriteFile(dir.Path("a"), "first").ok());
  ASSERT_TRUE(CopyFile(dir.Path("a"), dir.Path("b")).ok());
  ASSERT_TRUE(WriteFile(dir.Path("b"), "second").ok());
  EXPECT_EQ(ReadFile(dir.Path("a")).value(), "first");
  EXPECT_FALSE(CopyFile(dir.Path("a"), dir.Path("b")).ok());
  EXPECT_EQ(ReadFile(dir.Path("b")).value(), "second");
}

TEST(Files, PiecesOverlapAndCoverTheFile) {
  const TemporaryDir dir;
  std::string bytes(2'500'000, '\0');
  for (size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<char>(i % 251);
  ASSERT_TRUE(WriteFile(dir.Path("a"), bytes).ok());
  uint64_t end = 0;
  ASSERT_TRUE(StreamFile(dir.Path("a"), 31,
                         [&](std::string_view piece, uint64_t offset) {
                           EXPECT_EQ(offset + std::min<uint64_t>(end, 31), end);
                           EXPECT_EQ(piece, std::string_view(bytes).substr(
                                                offset, piece.size()));
                           end = offset + piece.size();
                           return true;
                         })
                  .ok());
  EXPECT_EQ(end, bytes.size());
}

TEST(Files, AFailureNamesTheFile) {
  const TemporaryDir dir;
  const absl::Status missing = ReadFile(dir.Path("nothing")).status();
  EXPECT_TRUE(absl::IsNotFound(missing));
  EXPECT_EQ(ReasonOf(missing), "FILE_NOT_FOUND");
  EXPECT_NE(missing.message().find(dir.Path("nothing")), std::string::npos);
  EXPECT_FALSE(WriteFile(dir.Path("no/where"), "").ok());
  EXPECT_FALSE(Rename(dir.Path("a"), dir.Path("b")).ok());
  EXPECT_FALSE(SyncDirectory(dir.Path("nothing")).ok());
}

}  // namespace
}  // namespace mneme::memory
