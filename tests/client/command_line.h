// tests/client/command_line.h: runs the command line as a person would and
// catches what it prints.

#ifndef MNEME_TESTS_CLIENT_COMMAND_LINE_H_
#define MNEME_TESTS_CLIENT_COMMAND_LINE_H_

#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "client/context.h"
#include "tests/client/fake_memory.h"

namespace mneme::testing {

struct Ran {
  int code;
  std::string out;
  std::string err;
};

// `mneme ARGUMENTS...` with hooks of the test's own.
inline Ran RunWithHooks(const std::vector<std::string>& arguments,
                        const client::ServerHooks& hooks) {
  std::vector<const char*> argv = {"mneme"};
  for (const std::string& argument : arguments) {
    argv.push_back(argument.c_str());
  }
  std::ostringstream out, err;
  std::streambuf* const out_before = std::cout.rdbuf(out.rdbuf());
  std::streambuf* const err_before = std::cerr.rdbuf(err.rdbuf());
  const int code =
      client::RunCli(static_cast<int>(argv.size()), argv.data(), hooks);
  std::cout.rdbuf(out_before);
  std::cerr.rdbuf(err_before);
  return {code, out.str(), err.str()};
}

// `mneme --data fake ARGUMENTS...`, where the directory is `fake`.
inline Ran RunOn(FakeMemory& fake, std::vector<std::string> arguments) {
  const client::ServerHooks hooks = {
      .serve = [](int, const char* const*) { return 99; },
      .token = [](int, const char* const*) { return 98; },
      .open = [&](const std::string&,
                  bool) -> absl::StatusOr<client::EmbeddedServer> {
        return client::EmbeddedServer{fake.Channel(), nullptr};
      },
      .restore = nullptr};
  arguments.insert(arguments.begin(), {"--data", "fake"});
  return RunWithHooks(arguments, hooks);
}

}  // namespace mneme::testing

#endif  // MNEME_TESTS_CLIENT_COMMAND_LINE_H_
