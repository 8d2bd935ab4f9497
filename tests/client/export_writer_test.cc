#include "client/export_writer.h"

#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <string>

#include "base/error.h"
#include "gtest/gtest.h"
#include "tests/client/temporary_dir.h"
#include "tests/client/transfer_fixture.h"

namespace mneme::client {
namespace {

using testing::ExportParts;
using testing::TemporaryDir;

absl::Status Write(const ExportParts& parts, const std::string& path) {
  auto writer = ExportWriter::Create(path);
  if (!writer.ok()) return writer.status();
  for (const auto& part : parts) {
    const absl::Status added = (*writer)->Add(part);
    if (!added.ok()) return added;
  }
  return (*writer)->Finish();
}

TEST(ExportWriter, MakesTheDirectoryWithTheLastFile) {
  TemporaryDir dir;
  auto writer = ExportWriter::Create(dir.Path("out/"));
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (const auto& part : testing::TextExport()) {
    ASSERT_TRUE((*writer)->Add(part).ok());
    EXPECT_FALSE(std::filesystem::exists(dir.Path("out")));
  }
  ASSERT_TRUE((*writer)->Finish().ok());
  EXPECT_EQ((*writer)->end().entries, 2u);
  EXPECT_EQ((*writer)->end().tokens, 3u);
  EXPECT_EQ(dir.FileCount(), 1u);
  for (const char* name : {kManifestFile, kEntriesFile, kEndFile}) {
    EXPECT_FALSE(dir.Read("out/" + std::string(name)).empty()) << name;
  }
  const auto end = ParseEndMarker(dir.Read("out/end.json")).value();
  EXPECT_EQ(end.files.at(kEntriesFile).bytes,
            dir.Read("out/entries.jsonl").size());
}

TEST(ExportWriter, LeavesNothingWithoutAnEnd) {
  for (const ExportParts& whole :
       {testing::TextExport(), testing::TokensExport()}) {
    for (size_t count = 0; count < whole.size(); ++count) {
      TemporaryDir dir;
      const absl::Status status =
          Write({whole.begin(), whole.begin() + count}, dir.Path("out"));
      EXPECT_TRUE(absl::IsDataLoss(status)) << status;
      EXPECT_EQ(dir.FileCount(), 0u);
    }
  }
}

TEST(ExportWriter, DistrustsTheServer) {
  const auto refused = [](ExportParts parts,
                          const std::function<void(ExportParts&)>& change) {
    TemporaryDir dir;
    change(parts);
    const absl::Status status = Write(parts, dir.Path("out"));
    EXPECT_EQ(dir.FileCount(), status.ok() ? 1u : 0u);
    return base::DetailOf(status).reason == "BAD_PART";
  };
  const ExportParts text = testing::TextExport();
  const ExportParts tokens = testing::TokensExport();
  EXPECT_FALSE(refused(text, [](ExportParts&) {}));
  EXPECT_TRUE(refused(text, [](ExportParts& p) { std::swap(p[0], p[1]); }));
  EXPECT_TRUE(refused(text, [](ExportParts& p) { p.push_back(p[2]); }));
  EXPECT_TRUE(refused(text, [](ExportParts& p) { p[1].Clear(); }));
  EXPECT_TRUE(refused(text, [](ExportParts& p) { p.insert(p.begin(), p[0]); }));
  EXPECT_TRUE(refused(
      text, [](ExportParts& p) { p[2].mutable_end()->set_entries(3); }));
  EXPECT_TRUE(refused(text, [&](ExportParts& p) { p[1] = tokens[1]; }));
  EXPECT_TRUE(refused(tokens, [&](ExportParts& p) { p[1] = text[1]; }));
  EXPECT_TRUE(refused(tokens, [](ExportParts& p) { std::swap(p[1], p[2]); }));
  EXPECT_TRUE(refused(
      tokens, [](ExportParts& p) { p[3].mutable_end()->set_tokens(20); }));
}

TEST(ExportWriter, TakesNoPathThatIsTakenAndNoneThatCannotBe) {
  TemporaryDir dir;
  EXPECT_TRUE(absl::IsAlreadyExists(
      ExportWriter::Create(dir.Write("file", "x")).status()));
  EXPECT_TRUE(absl::IsNotFound(
      ExportWriter::Create(dir.Path("no/such/place")).status()));
  EXPECT_FALSE(ExportWriter::Create("").ok());
  EXPECT_EQ(dir.FileCount(), 1u);
}

TEST(ExportWriter, LeavesNothingOnADiskThatTakesNoMore) {
  TemporaryDir dir;
  struct rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
  struct rlimit small = before;
  small.rlim_cur = 300;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const absl::Status status = Write(testing::TokensExport(), dir.Path("out"));
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, ignored);
  EXPECT_EQ(base::DetailOf(status).reason, "FILE_UNWRITABLE") << status;
  EXPECT_EQ(dir.FileCount(), 0u);
}

}  // namespace
}  // namespace mneme::client
