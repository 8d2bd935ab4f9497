// mneme_format_generate DIR: writes a small data directory of this release's
// format into DIR/data, and what it answers into DIR/answers.json. For a new
// version of the format; what was generated once is never generated again.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "memory/memory.h"
#include "memory/rocks_store.h"
#include "tests/format/contents.h"
#include "tests/memory/fixture.h"

namespace mneme::memory {
namespace {

namespace fs = std::filesystem;

// What a reader needs; logs and locks are made anew.
bool IsData(const std::string& file) {
  return file == "CURRENT" || file.starts_with("MANIFEST") ||
         file.ends_with(".sst") || file.ends_with(".blob") ||
         file.ends_with(".log");
}

int Generate(const fs::path& directory) {
  const fs::path data = directory / "data";
  if (fs::exists(data)) {
    std::fprintf(stderr, "%s is there already\n", data.c_str());
    return 2;
  }
  FakeClock clock;
  {
    auto memory = Memory::Open(OpenRocksStore(data).value(), &clock).value();
    FillWithEverything(*memory);
  }
  auto store = OpenRocksStore(data).value();
  if (!store->Compact("", "\xFF").ok()) return 1;
  {
    // Most of it is in tables and blobs now, and this in the log.
    auto memory = Memory::Open(std::move(store), &clock).value();
    auto session = memory->Find({.space = "kept", .session = "small"}).value();
    if (!session->CommitWindow(5).ok()) return 1;
    std::ofstream(directory / "answers.json")
        << AnswersOf(*memory).dump(1) << "\n";
  }
  for (const auto& file : fs::directory_iterator(data)) {
    if (!IsData(file.path().filename())) fs::remove(file);
  }
  return ::testing::Test::HasFailure() ? 1 : 0;
}

}  // namespace
}  // namespace mneme::memory

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc == 2) return mneme::memory::Generate(argv[1]);
  std::fprintf(stderr, "usage: mneme_format_generate DIR\n");
  return 2;
}
