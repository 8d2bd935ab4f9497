#include "base/usage.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>

#include "gtest/gtest.h"

namespace mneme::base {
namespace {

// What a server with two flags is told about `words`.
std::string Told(const std::string& words) {
  CLI::App app("A server.", "mneme serve");
  app.set_config("--config", "");
  app.allow_config_extras(CLI::config_extras_mode::error);
  std::string listen;
  int threads = 0;
  app.add_option("--listen", listen);
  app.add_option("--threads", threads);
  try {
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    return UsageMessage(app, error);
  }
  return "";
}

constexpr char kHelp[] = "\nSee `mneme serve --help`.";

TEST(UsageMessage, AFlagThatIsMisspeltIsNamedBeforeItsValue) {
  EXPECT_EQ(Told("--listen here"), "");
  const std::string meant =
      std::string("unknown flag \"--lisen\" (did you mean \"--listen\"?)") +
      kHelp;
  EXPECT_EQ(Told("--lisen here"), meant);
  EXPECT_EQ(Told("--lisen=here"), meant);
  EXPECT_EQ(Told("here"), std::string("unexpected argument \"here\"") + kHelp);
}

TEST(UsageMessage, AKeyThatIsMisspeltIsNamedWithItsFile) {
  const std::string path =
      ::testing::TempDir() + "mneme_usage_" + std::to_string(getpid());
  std::ofstream(path) << "threds = 8\n";
  EXPECT_EQ(Told("--config " + path), "unknown key \"threds\" in \"" + path +
                                          "\" (did you mean \"threads\"?)" +
                                          kHelp);
  std::remove(path.c_str());
}

TEST(UsageMessage, AValueThatIsNoNumberIsShown) {
  EXPECT_EQ(Told("--threads many"),
            std::string("--threads: got \"many\"; expected a number that "
                        "fits") +
                kHelp);
}

}  // namespace
}  // namespace mneme::base
