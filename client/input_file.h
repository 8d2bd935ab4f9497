// client/input_file.h: files that a person names on the command line.

#ifndef MNEME_CLIENT_INPUT_FILE_H_
#define MNEME_CLIENT_INPUT_FILE_H_

#include <string>

#include "absl/status/statusor.h"

namespace mneme::client {

// The bytes of a file, or of standard input for "-".
// Errors: NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT for a directory; every
//         message names the path.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// As ReadFile, for words: what is not text is refused with the offset of the
// byte that shows it.
// Errors: as ReadFile, and INVALID_ARGUMENT for a file that is empty, blank,
// not
//         UTF-8, or has a NUL byte.
absl::StatusOr<std::string> ReadTextFile(const std::string& path);

// Whether reading it a second time gives the same again, unlike a pipe.
bool IsRegularFile(const std::string& path);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_INPUT_FILE_H_
