#include "base/usage.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "base/suggest.h"

namespace mneme::base {
namespace {

std::vector<std::string> CommandNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) {
    names.push_back(command->get_name());
  }
  return names;
}

std::vector<std::string> FlagNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      names.push_back("--" + name);
    }
  }
  return names;
}

bool IsFlag(const std::string& word) { return word.rfind('-', 0) == 0; }

// Of the words that nothing takes, one; `command` is the innermost, or null.
std::string AboutWord(const CLI::App& app, const CLI::App* command,
                      const std::vector<std::string>& left) {
  // The value of an unknown flag is left over with it.
  const auto flag = std::find_if(left.begin(), left.end(), IsFlag);
  const std::string given = flag == left.end() ? left.front() : *flag;
  const std::string word = given.substr(0, given.find('='));
  if (IsFlag(word)) {
    std::vector<std::string> flags = FlagNames(app);
    if (command != nullptr) {
      const std::vector<std::string> own = FlagNames(*command);
      flags.insert(flags.begin(), own.begin(), own.end());
    }
    return absl::StrCat("unknown flag \"", word, "\"", DidYouMean(word, flags));
  }
  const std::vector<std::string> commands =
      CommandNames(command == nullptr ? app : *command);
  const bool is_command = command == nullptr && !commands.empty();
  return absl::StrCat(is_command ? "unknown command" : "unexpected argument",
                      " \"", word, "\"", DidYouMean(word, commands));
}

// What CLI11 says, in words of ours where its own do not help.
std::string AboutValue(const CLI::App& app, const std::string& said) {
  constexpr std::string_view kKey = "INI was not able to parse ";
  constexpr std::string_view kValue = "Could not convert: ";
  constexpr std::string_view kIs = " = ";
  if (said.rfind(kKey, 0) == 0) {
    const std::string key = said.substr(kKey.size());
    std::string file;
    if (const CLI::Option* config = app.get_config_ptr()) {
      file = absl::StrCat(" in ", Quoted(config->as<std::string>()));
    }
    std::vector<std::string> keys = FlagNames(app);
    for (std::string& name : keys) name.erase(0, 2);
    return absl::StrCat("unknown key ", Quoted(key), file,
                        DidYouMean(key, keys));
  }
  const size_t is = said.find(kIs);
  if (said.rfind(kValue, 0) == 0 && is != std::string::npos) {
    return absl::StrCat(said.substr(kValue.size(), is - kValue.size()),
                        ": got ", Quoted(said.substr(is + kIs.size())),
                        "; expected a number that fits");
  }
  return said;
}

}  // namespace

std::string UsageMessage(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* command = nullptr;  // The innermost, e.g. `profiles show`.
  std::string words = app.get_name();
  for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
    command = at = at->get_subcommands().front();
    absl::StrAppend(&words, " ", command->get_name());
  }
  const std::vector<std::string> left = app.remaining(/*recurse=*/true);
  return absl::StrCat(left.empty() ? AboutValue(app, error.what())
                                   : AboutWord(app, command, left),
                      "\nSee `", words, " --help`.");
}

}  // namespace mneme::base
