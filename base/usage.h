// base/usage.h: what is wrong with a command line, and what was probably meant.

#ifndef MNEME_BASE_USAGE_H_
#define MNEME_BASE_USAGE_H_

#include <string>

namespace CLI {  // NOLINT(readability-identifier-naming): its own name
class App;
class ParseError;
}  // namespace CLI

namespace mneme::base {

// What `error`, thrown by the parse of `app`, means to a person; names the word
// or the key of the config file, the nearest that exists, and the help to read.
std::string UsageMessage(const CLI::App& app, const CLI::ParseError& error);

}  // namespace mneme::base

#endif  // MNEME_BASE_USAGE_H_
