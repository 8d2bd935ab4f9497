#include "client/input_file.h"

#include "gmock/gmock.h"
#include "tests/client/temporary_dir.h"

namespace mneme::client {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryDir;

TEST(ReadFile, GivesEveryByte) {
  const TemporaryDir dir;
  std::string bytes(3'000'000, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7);
  EXPECT_EQ(*ReadFile(dir.Write("f", bytes)), bytes);
  EXPECT_EQ(*ReadFile(dir.Write("empty", "")), "");
}

TEST(ReadFile, SaysWhichFileIsMissing) {
  const TemporaryDir dir;
  const absl::Status status = ReadFile(dir.Path("none")).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(dir.Path("none")));
}

TEST(ReadFile, RefusesADirectory) {
  const TemporaryDir dir;
  const absl::Status status = ReadFile(dir.Path("")).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("is a directory"));
}

TEST(ReadTextFile, SaysWhereAFileStopsBeingText) {
  const TemporaryDir dir;
  const std::pair<std::string, std::string> cases[] = {
      {"", "empty"},
      {" \n\t ", "only white space"},
      {std::string("ab\0c", 4), "NUL at byte 2"},
      {"abc\xFF", "invalid UTF-8 at byte 3"},
  };
  for (const auto& [bytes, expected] : cases) {
    const absl::Status status = ReadTextFile(dir.Write("f", bytes)).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(expected));
  }
  EXPECT_EQ(*ReadTextFile(dir.Write("f", "né")), "né");
}

}  // namespace
}  // namespace mneme::client
