// mneme_golden --server ADDR DIR: every case under DIR, one line each.

#include <fnmatch.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/client.h"
#include "tests/golden/case.h"
#include "tests/golden/compare.h"
#include "tests/golden/methods.h"

namespace mneme::golden {
namespace {

namespace fs = std::filesystem;

enum class Result { kPass, kFail, kSkip };

struct Line {
  Result result;
  std::string error;  // max_abs_err, or "-" where nothing was compared.
  std::string why;
};

// method/case of every file, sorted.
std::vector<std::string> ListCases(const fs::path& dir) {
  std::vector<std::string> cases;
  std::error_code error;
  for (const auto& method : fs::directory_iterator(dir, error)) {
    if (!method.is_directory(error)) continue;
    for (const auto& file : fs::directory_iterator(method.path(), error)) {
      if (file.path().extension() != ".safetensors") continue;
      cases.push_back(method.path().filename().string() + "/" +
                      file.path().stem().string());
    }
  }
  std::sort(cases.begin(), cases.end());
  return cases;
}

// Patterns of DIR/QUIRKS.txt: cases that are right about one code base rather
// than about its method, and not required.
std::vector<std::string> ReadQuirks(const fs::path& dir) {
  std::vector<std::string> patterns;
  std::ifstream file(dir / "QUIRKS.txt");
  for (std::string line; std::getline(file, line);) {
    line = line.substr(0, line.find('#'));
    const std::string pattern(absl::StripAsciiWhitespace(line));
    if (!pattern.empty()) patterns.push_back(pattern);
  }
  return patterns;
}

bool Matches(const std::vector<std::string>& patterns,
             const std::string& name) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) {
                       return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
                     });
}

// The payload is for machines.
std::string WhyOf(const absl::Status& status) {
  return status.ToString(absl::StatusToStringMode::kWithNoExtraData);
}

Line Run(const fs::path& dir, const std::string& name, client::Client& client) {
  const auto loaded = Case::Load((dir / (name + ".safetensors")).string());
  if (!loaded.ok()) {
    return {Result::kFail, "-", WhyOf(loaded.status())};
  }
  const Method method = FindMethod(name.substr(0, name.find('/')));
  if (method == nullptr) return {Result::kFail, "-", "unknown method"};
  const auto outputs = method(*loaded, client);
  if (!outputs.ok()) {
    return {Result::kFail, "-", WhyOf(outputs.status())};
  }
  const Verdict verdict = Compare(*loaded, *outputs);
  return {verdict.pass ? Result::kPass : Result::kFail,
          absl::StrCat(verdict.max_abs_err), verdict.why};
}

int RunAll(const std::string& server, const fs::path& dir) {
  const std::vector<std::string> cases = ListCases(dir);
  if (cases.empty()) {
    std::fprintf(stderr, "no METHOD/CASE.safetensors under %s\n", dir.c_str());
    return 2;
  }
  const std::vector<std::string> quirks = ReadQuirks(dir);
  client::Client client(client::Connect(server));
  int count[3] = {};
  for (const std::string& name : cases) {
    const Line line = Matches(quirks, name) ? Line{Result::kSkip, "-", "quirk"}
                                            : Run(dir, name, client);
    const int result = static_cast<int>(line.result);
    ++count[result];
    constexpr const char* kWords[] = {"pass", "FAIL", "skip"};
    std::printf("%s %s %s%s%s\n", kWords[result], name.c_str(),
                line.error.c_str(), line.why.empty() ? "" : " ",
                line.why.c_str());
    std::fflush(stdout);
  }
  std::printf("%d passed, %d failed", count[0], count[1]);
  if (count[2] > 0) std::printf(", %d skipped", count[2]);
  std::printf("\n");
  return count[1] == 0 ? 0 : 1;
}

}  // namespace
}  // namespace mneme::golden

int main(int argc, char** argv) {
  if (argc != 4 || std::string(argv[1]) != "--server") {
    std::fprintf(stderr, "usage: mneme_golden --server ADDR DIR\n");
    return 2;
  }
  return mneme::golden::RunAll(argv[2], argv[3]);
}
