// tests/bench/scratch_dir.h: a directory that goes away.

#ifndef MNEME_TESTS_BENCH_SCRATCH_DIR_H_
#define MNEME_TESTS_BENCH_SCRATCH_DIR_H_

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "tests/bench/contest.h"

namespace mneme::bench {

class ScratchDir {
 public:
  // On the disk that TMPDIR names: what is measured is that disk.
  ScratchDir() {
    std::string path = std::filesystem::temp_directory_path() / "mneme-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) Fail("cannot create " + path);
    path_ = path;
  }
  ~ScratchDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDir(const ScratchDir&) = delete;
  ScratchDir& operator=(const ScratchDir&) = delete;

  std::string Child(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace mneme::bench

#endif  // MNEME_TESTS_BENCH_SCRATCH_DIR_H_
