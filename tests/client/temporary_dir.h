// tests/client/temporary_dir.h: a directory that goes away with the test.

#ifndef MNEME_TESTS_CLIENT_TEMPORARY_DIR_H_
#define MNEME_TESTS_CLIENT_TEMPORARY_DIR_H_

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace mneme::testing {

class TemporaryDir {
 public:
  TemporaryDir() {
    std::string path =
        (std::filesystem::temp_directory_path() / "mneme.XXXXXX").string();
    path_ = ::mkdtemp(path.data());
  }
  ~TemporaryDir() { std::filesystem::remove_all(path_); }

  std::string Path(const std::string& name) const {
    return (path_ / name).string();
  }
  // Writes a file and returns its path.
  std::string Write(const std::string& name, std::string_view bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return Path(name);
  }
  std::string Read(const std::string& name) const {
    std::ifstream file(path_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  size_t FileCount() const {
    return std::distance(std::filesystem::directory_iterator(path_), {});
  }

 private:
  std::filesystem::path path_;
};

}  // namespace mneme::testing

#endif  // MNEME_TESTS_CLIENT_TEMPORARY_DIR_H_
